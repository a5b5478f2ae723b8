# SPDX-License-Identifier: Apache-2.0
"""What differs between two configurations of one container, or of the one that took its place. Pure.

A container that replaces another differs in what is made up for each: ids in the paths of its files, the names of
anonymous volumes. Those are no difference. A setting that either does not know has not changed, as far as anybody
can say.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypedDict

from sensor.wire import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SUMMARY: Final = 400
_MADE_UP: Final = (
    re.compile(r"[0-9a-f]{64}"),
    re.compile(r"[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}"),
    re.compile(r"(?<=kube-api-access-)[a-z0-9]{5}(?=/|$)"),
    re.compile(r"(?<=/)[0-9a-f]{8}(?=/|$)"),
)
"""Ids of containers, sandboxes and volumes; uids of pods; what the kubelet adds to a projected token and to the
folder of a container's own files."""
_OF_SERVICES: Final = re.compile(
    r"[A-Z0-9_]+_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_[A-Z]+(_[A-Z]+)?)?)"
)
"""Variables that the kubelet makes of the services there are (pkg/kubelet/envvars)."""


class ChangeView(TypedDict):
    """One setting that differs from the configuration before."""

    setting: str
    before: Any
    after: Any


def changes(
    before: Mapping[str, Any], after: Mapping[str, Any], *, replaced: bool = False
) -> list[ChangeView]:
    """What differs, setting by setting. `replaced`: they are of two containers."""
    compared = comparable if replaced else _as_it_is
    return [
        ChangeView(setting=name, before=value, after=after[name])
        for name, value in before.items()
        if value is not None
        and after.get(name) is not None
        and not (replaced and name == "name")
        and compared(name, value) != compared(name, after[name])
    ]


def comparable(name: str, value: Any) -> Any:  # noqa: ANN401 - a setting's value is of any shape
    """A setting without what is made up for each container."""
    if isinstance(value, list):
        if name == "environment":
            value = [each for each in value if not (isinstance(each, str) and _OF_SERVICES.fullmatch(each))]
        return [comparable("", each) for each in value]
    if isinstance(value, dict):
        return {key: comparable("", each) for key, each in value.items()}
    if isinstance(value, str) and name != "image_digest":
        for pattern in _MADE_UP:
            value = pattern.sub("*", value)
    return value


def _as_it_is(_name: str, value: Any) -> Any:  # noqa: ANN401 - as above
    return value


def setting_text(value: object, name: str) -> str:
    """A setting in one line, as a person reads it; not escaped. Unknown is said as unknown, nothing as none."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return _limit(value, name)
    words = value if isinstance(value, list) else [value]
    return ", ".join(_word(word) for word in words) or "none"


def summary(found: list[ChangeView]) -> str:
    """All differences in one line, bounded and printable."""
    shown = "; ".join(printable(change_text(each)) for each in found)
    return shown if len(shown) <= MAX_SUMMARY else shown[: MAX_SUMMARY - 1] + "…"


def change_text(change: ChangeView) -> str:
    """A difference in one line: of a list what was added and removed, else before and after. Not escaped."""
    name, old, new = change["setting"], change["before"], change["after"]
    label = name.replace("_", " ")
    if isinstance(old, list) and isinstance(new, list) and name != "entrypoint":
        added = [_word(each) for each in new if each not in old]
        removed = [_word(each) for each in old if each not in new]
        parts = [
            f"{what} {', '.join(each)}" for what, each in (("added", added), ("removed", removed)) if each
        ]
        return f"{label} {' and '.join(parts) or 'in another order'}"
    return f"{label} {setting_text(old, name)} -> {setting_text(new, name)}"


def _limit(value: int, name: str) -> str:
    if value == 0:
        return "no limit"
    return {"memory": f"{value / 2**20:g} MiB", "cpus": f"{value / 10**9:g}"}.get(name, str(value))


def _word(word: object) -> str:
    if isinstance(word, dict) and {"source", "target", "writable"} <= word.keys():  # a wire.Mount
        return f"{word['source']} at {word['target']}{'' if word['writable'] else ' (read-only)'}"
    return str(word)
