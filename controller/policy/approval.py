# SPDX-License-Identifier: Apache-2.0
"""Approval windows: "jane may exec into shop/* until 17:00, change 4711". Which visit is within one. Pure.

A visit is within a window when its principal is known and is the one that is named, its target is of every pattern
that is given, its means is one of those that are allowed, and it began and ended while the window was open. A
visit that goes on when the window ends, by its time or by revocation, is within none: it outlived it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from controller.policy.globs import matches

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.policy.principals import Principal

TARGETS: Final = ("pod", "container", "image", "host")
"""What a pattern may be about: a pod's namespace/name, the others' names."""


@dataclass(frozen=True, slots=True)
class Approval:
    """One window. Patterns that are None ask for nothing; times are ns."""

    id: int
    principal: str
    """A name, or kind:name where the same name of another kind is somebody else."""
    begins: int
    until: int
    change: str
    pod: str | None = None
    container: str | None = None
    image: str | None = None
    host: str | None = None
    means: tuple[str, ...] = ()
    """Empty: any."""
    revoked: int | None = None

    @property
    def ends(self) -> int:
        """When it ended or will."""
        return self.until if self.revoked is None else min(self.until, self.revoked)


def refusal(approval: Approval, entry: Mapping[str, Any], host: str, principal: Principal) -> str | None:
    """Why a visit that begins with `entry` is not within the window; None if it is, as far as its beginning goes.

    The principal comes last: "the principal is not known" says that all else fits.
    """
    for name, value in _targets(entry, host).items():
        pattern = getattr(approval, name)
        if pattern is not None and (value is None or not matches(pattern, value)):
            return f"its {name} is {'not known' if value is None else value}, not {pattern}"
    if approval.means and entry["means"] not in approval.means:
        return f"it came by {entry['means']}"
    if not approval.begins <= entry["time"] < approval.ends:
        return "it began outside the window"
    if principal.name is None:
        return UNKNOWN
    if approval.principal not in principal.names:
        return f"the principal is {principal.name}"
    return None if principal.sure else f"that it is {principal.name} is not sure enough"


UNKNOWN: Final = "the principal is not known"


def sentence(approval: Approval) -> str:
    """The window as people say it."""
    parts = [f"{name} {getattr(approval, name)}" for name in TARGETS if getattr(approval, name) is not None]
    by = f" by {', '.join(approval.means)}" if approval.means else ""
    until = datetime.fromtimestamp(approval.until // 1_000_000_000, UTC)
    where = " and ".join(parts).removeprefix("pod ")
    return f"{approval.principal} may enter {where}{by} until {until:%Y-%m-%d %H:%M} UTC, change {approval.change}"


def _targets(entry: Mapping[str, Any], host: str) -> dict[str, str | None]:
    container = entry["container"]
    pod = container["pod"]
    return {
        "pod": f"{pod['namespace']}/{pod['name']}" if pod else None,
        "container": container["name"],
        "image": container["image"],
        "host": host,
    }
