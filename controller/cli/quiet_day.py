# SPDX-License-Identifier: Apache-2.0
"""A benign day: its chores done, with what an operator would have said of each, and what was told all the same."""

from __future__ import annotations

import contextlib
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from controller.cli import output
from controller.cli.staging import ACTOR, POLL_S
from controller.emulation import script
from controller.emulation.chores import Excepted
from controller.emulation.disposable import LIFE_S, NAME
from controller.emulation.place import EmulationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from controller.cli.state import State
    from controller.emulation.chores import Chore
    from controller.emulation.disposable import Runtime

BURST: Final = Excepted("exec_burst", None)
"""Of every chore: a day's work done in a minute is what that detection is about."""
HELD_NS: Final = 6_000_000_000
"""How long a visit may wait for its sensor to learn whether it is a health check; with a margin."""
FIRST_LOGIN: Final = 61_000
"""Login uids from here to 64,999 are nobody's: adduser(8) gives none of them to people or services."""
WHY: Final = "a chore of an emulated benign day; it ends with it"


@dataclass
class Done:
    """A chore that was done."""

    chore: Chore
    run: str
    began: int
    ids: set[str] = field(default_factory=set)
    windows: list[int] = field(default_factory=list)
    """Numbers of approvals."""
    exceptions: list[str] = field(default_factory=list)
    error: str | None = None


@dataclass(frozen=True)
class Result:
    """What came of it: `quiet` if it went as it should and nothing was told."""

    chore: str
    run: str
    quiet: bool
    visits: int
    probes: int
    withheld: list[dict[str, Any]]
    """What was not told, and why: detection, severity, because (approval, exception), name."""
    alerts: list[dict[str, Any]]
    error: str | None


class Day:
    """On one runtime, for one controller. What is said for it counts for its containers alone, and ends with it."""

    def __init__(self, state: State, runtime: Runtime, timeout: float, *, untold: bool) -> None:
        """`untold`: no window is opened and no exception added."""
        self._state = state
        self._runtime = runtime
        self._timeout = timeout
        self._untold = untold
        self._done: list[Done] = []

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """What was said for the day is taken back at its end, and its alerts are closed, whatever happens in it."""
        try:
            yield
        finally:
            self._write(self._end)

    def do(self, chore: Chore, image: str) -> None:
        """Does one, in a container of its own. What fails is kept as its error."""
        done = Done(chore, secrets.token_hex(6), time.time_ns())
        self._done.append(done)
        login = FIRST_LOGIN + int(done.run, 16) % 4000
        self._write(lambda at, now: self._begin(at, now, done, login))
        try:
            with self._runtime.container(image, done.run) as made:
                self._made(done, {made.id})
                given = {"LOGIN": str(login)}
                script.run(
                    chore.path, made, self._runtime.place, self._state.settings().state_dir, more=given
                )
                self._made(done, set(self._runtime.containers(done.run)))
        except EmulationError as error:
            done.error = str(error)

    def settle(self, image: str) -> None:
        """Waits until all visits have come and were judged: a last visitor comes after them.

        EmulationError if he is not seen: then nothing was.
        """
        run, began = secrets.token_hex(6), time.time_ns()
        with self._runtime.container(image, run) as made:
            self._runtime.place.run([*made.enter, made.id, "env", f"last={run}"])
            until = time.monotonic() + self._timeout
            while not self._settled(made.id, began):
                if time.monotonic() > until:
                    late = f"the last visit was not seen and judged within {self._timeout:.0f} s"
                    raise EmulationError(f"{late}: does a sensor on that host send to this controller?")
                time.sleep(POLL_S)

    def results(self) -> list[Result]:
        """What came of each chore."""
        with self._state.reading() as connection:
            return [self._result(connection, each) for each in self._done]

    def _settled(self, last: str, began: int) -> bool:
        from controller.store import quiet  # noqa: PLC0415 - help does not wait for it

        with self._state.reading() as connection:
            came = quiet.visits(connection, NAME.format(run="none"), {last}, began)
            mine = [*came, *(visit for each in self._done for visit in self._visits(connection, each))]
            judged = quiet.judged(connection, [each["id"] for each in mine])
        return bool(came) and judged and time.time_ns() > began + HELD_NS

    def _visits(self, connection: Connection, done: Done) -> Sequence[Any]:
        from controller.store import quiet  # noqa: PLC0415 - as above

        return quiet.visits(connection, NAME.format(run=done.run), done.ids, done.began)

    def _begin(self, connection: Connection, now: int, done: Done, login: int) -> None:
        from controller.store import approvals, emulations, exceptions  # noqa: PLC0415 - as above

        emulations.begin(connection, done.run, f"benign/{done.chore.name}", self._runtime.name, now)
        if self._untold:
            return
        author, until = f"{output.actor()}, by emulate", now + LIFE_S * 1_000_000_000
        here = f'container.name like "{NAME.format(run=done.run)}*"'
        for number, each in enumerate((*done.chore.exceptions, BURST)):
            text = here if each.expression is None else f"{here} and ({each.expression})"
            name, wanted = f"emulation-{done.run}-{number}", exceptions.Wanted(text, each.detection)
            exceptions.add(connection, name, wanted, author=author, reason=WHY, expires=until, now=now)
            done.exceptions.append(name)
        if done.chore.approval:
            window: dict[str, Any] = {
                "principal": f"uid {login}",
                "container": f"{NAME.format(run=done.run)}*",
                "reason": WHY,
            }
            window |= {"change": f"emulation {done.run}", "until_ns": until}
            done.windows.append(approvals.add(connection, window, author, now))

    def _made(self, done: Done, ids: set[str]) -> None:
        from controller.store import emulations  # noqa: PLC0415 - as above

        done.ids |= ids
        self._write(lambda at, _: emulations.made(at, done.run, sorted(ids)))

    def _result(self, connection: Connection, done: Done) -> Result:
        from controller.store import alerts, quiet, withheld  # noqa: PLC0415 - as above

        told = [alerts.show(connection, each) for each in quiet.alerted(connection, done.run)]
        kept = [view for name in done.exceptions for view in withheld.by(connection, "exception", name)]
        kept += [view for each in done.windows for view in withheld.by(connection, "approval", str(each))]
        came = self._visits(connection, done)
        keys = ("detection", "severity", "because", "name")
        return Result(
            done.chore.name,
            done.run,
            not told and done.error is None,
            sum(each["means"] != "probe" for each in came),
            sum(each["means"] == "probe" for each in came),
            [_part(view, keys) for view in kept],
            [_part(each, ("id", "title", "detections", "sentence")) for each in told if each],
            done.error,
        )

    def _end(self, connection: Connection, now: int) -> None:
        from controller.store import alerts, approvals, emulations, exceptions  # noqa: PLC0415 - as above
        from controller.store.emulations import Outcome  # noqa: PLC0415 - as above

        author = f"{output.actor()}, by emulate"
        for done in self._done:
            for number in done.windows:
                approvals.revoke(connection, number, author, WHY, now)
            for name in done.exceptions:
                exceptions.remove(connection, name, author, WHY, now)
            emulations.ended(connection, done.run, now, Outcome(False, error=done.error))
            for each in emulations.open_alerts(connection, done.run):
                reason = f"staged: the chore {done.chore.name} of a benign day"
                alerts.set_state(connection, each, "false_positive", ACTOR, reason, now)

    def _write(self, work: Callable[[Connection, int], None]) -> None:
        self._state.write(lambda connection: work(connection, time.time_ns()))


def _part(view: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: view[key] for key in keys}
