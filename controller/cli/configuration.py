# SPDX-License-Identifier: Apache-2.0
"""How a container is configured, as `containers show` prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.cli import output
from controller.cli.output import text, when
from controller.store.configurations import setting_text

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
    output.fields([(_name(name), _said(value, name)) for name, value in latest["settings"].items()])
    output.fields([("exposed by", text("; ".join(latest["exposures"]) or "nothing that is known"))])
    changed = [(view, change) for view in views for change in view["changes"]]
    if changed:
        output.line("")
        output.line("changes")
        output.fields([(when(view["time"]), _change(change)) for view, change in changed])


def _change(change: ChangeView) -> str:
    name = change["setting"]
    return f"{_name(name)}: {_said(change['before'], name)} -> {_said(change['after'], name)}"


def _name(setting: str) -> str:
    return _NAMES.get(setting, setting.replace("_", " "))


def _said(value: object, name: str) -> str:
    return text(setting_text(value, name))
