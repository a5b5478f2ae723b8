# SPDX-License-Identifier: Apache-2.0
"""A crossing as bytes and back, for the sensor that goes on where another was killed.

Command lines are left out: what a visitor's secrets are redacted from by then is in the events. Readers raise
ValueError for what is not of this form.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import Any

import msgpack

from sensor.entry.crossing import Crossing, Owner
from sensor.probe.layout import Exec, Facts, Flag, Head, Kind, NsSet, Setns, Step
from sensor.wire import Ancestor


@dataclass(frozen=True, slots=True)
class Kept:
    """A crossing with what the reporter knows of it."""

    crossing: Crossing
    session: str | None
    entered_by: Ancestor | None
    within: int | None
    """Cookie of the session around."""


def pack(crossing: Crossing, session: str | None, entered_by: Ancestor | None) -> bytes:
    """Inverse of `unpack`."""
    return bytes(
        msgpack.packb(
            [
                crossing.cookie,
                crossing.began,
                _setns_parts(crossing.setns) if crossing.setns else None,
                _exec_parts(crossing.entered) if crossing.entered else None,
                [crossing.owner.container, crossing.owner.shared],
                crossing.outer.cookie if crossing.outer else None,
                crossing.stayed,
                crossing.escaped,
                crossing.unseen,
                list(crossing.live.items()),
                list(crossing.parents.items()),
                list(crossing.executed.items()),
                crossing.commands,
                crossing.status,
                session,
                entered_by,
            ]
        )
    )


def unpack(data: bytes) -> Kept:
    """The crossing, not yet within another."""
    try:
        cookie, began, setns, entered, owner, within, *rest = msgpack.unpackb(data)
        stayed, escaped, unseen, live, parents, executed, commands, status, session, who = rest
        crossing = Crossing(
            cookie,
            began,
            setns=_setns(setns) if setns else None,
            entered=_exec(entered) if entered else None,
            owner=Owner(*owner),
            stayed=stayed,
            escaped=escaped,
            unseen=unseen,
            live=dict(live),
            parents=dict(parents),
            executed=dict(executed),
            commands=commands,
            status=status,
        )
    except (TypeError, ValueError, msgpack.exceptions.UnpackException) as error:
        raise ValueError(f"no crossing: {error}") from error
    return Kept(crossing, session, who, within)


def join(kept: Iterable[Kept]) -> list[Crossing]:
    """The crossings, each within its own."""
    found = {one.crossing.cookie: one for one in kept}
    for one in found.values():
        if one.within is not None and one.within in found and one.within != one.crossing.cookie:
            one.crossing.within = found[one.within].crossing
    return [one.crossing for one in found.values()]


def _setns_parts(event: Setns) -> list[Any]:
    called: list[str] | None = None if event.argv is None else []
    steps = [astuple(step) for step in event.ancestry]
    return [
        astuple(event.head),
        event.previous,
        event.home,
        event.joined,
        astuple(event.task),
        steps,
        event.exe,
        called,
        event.runtime_pid,
    ]


def _setns(parts: list[Any]) -> Setns:
    head, previous, home, joined, task, steps, exe, argv, runtime = parts
    return Setns(
        _head(head),
        previous,
        NsSet(*home),
        NsSet(*joined),
        _facts(task),
        tuple(Step(*step) for step in steps),
        exe,
        argv,
        runtime,
        None,
    )


def _exec_parts(event: Exec) -> list[Any]:
    return [astuple(event.head), event.home, event.joined, event.parent, astuple(event.task), event.exe]


def _exec(parts: list[Any]) -> Exec:
    head, home, joined, parent, task, exe = parts
    return Exec(
        _head(head),
        NsSet(*home),
        NsSet(*joined),
        NsSet(*parent),
        _facts(task),
        (),
        exe,
        None,
        None,
        None,
        argv_cut=False,
    )


def _head(parts: list[Any]) -> Head:
    kind, flags, *rest = parts
    return Head(Kind(kind), Flag(flags), *rest)


def _facts(parts: list[Any]) -> Facts:
    namespaces, *rest = parts
    return Facts(NsSet(*namespaces), *rest)
