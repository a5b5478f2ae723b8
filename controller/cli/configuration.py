# SPDX-License-Identifier: Apache-2.0
"""How a container is configured, as `containers show` prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controller.cli import output
from controller.cli.output import text, when

if TYPE_CHECKING:
    from controller.store.configurations import ChangeView, ConfigurationView

_NAMES = {
    "no_new_privileges": "no new privileges",
    "read_only": "read-only root",
    "image_digest": "image digest",
}


def page(views: list[ConfigurationView]) -> None:
    """The latest configuration by setting, then what was changed, the latest change first."""
    if not views:
        return
    latest = views[0]
    output.line("")
    output.line(f"configured since {when(latest['time'])} ({latest['because']})")
    output.fields([(_name(name), _value(value)) for name, value in latest["settings"].items()])
    output.fields([("exposed by", text("; ".join(latest["exposures"]) or "nothing that is known"))])
    changed = [(view, change) for view in views for change in view["changes"]]
    if changed:
        output.line("")
        output.line("changes")
        output.fields(
            [
                (
                    when(view["time"]),
                    f"{_name(change['setting'])}: {_value(change['before'])} -> {_value(change['after'])}",
                )
                for view, change in changed
            ]
        )


def _change(change: ChangeView) -> str:
    return f"{_name(change['setting'])}: {_value(change['before'])} -> {_value(change['after'])}"


def _name(setting: str) -> str:
    return _NAMES.get(setting, setting.replace("_", " "))


def _value(value: Any) -> str:  # noqa: ANN401 - any setting's
    """A setting in one line. Unknown is said as unknown, and nothing as none."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    words = value if isinstance(value, list) else [value]
    return text(", ".join(_word(word) for word in words)) or "none"


def _word(word: Any) -> str:  # noqa: ANN401 - a mount, a name, a number
    if isinstance(word, dict):
        return f"{word['source']} at {word['target']}{'' if word['writable'] else ' (read-only)'}"
    return str(word)
