# SPDX-License-Identifier: Apache-2.0
"""One emulation from its beginning to its end: staged, waited for, kept in the store, its alerts closed."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from controller.cli import output
from controller.emulation import script
from controller.emulation.place import EmulationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sqlalchemy import Connection

    from controller.cli.state import State
    from controller.detect.catalogue import Detection
    from controller.emulation.disposable import Runtime
    from controller.store.emulations import Outcome
    from controller.store.views import AlertRow

POLL_S: Final = 0.25
LATEST: Final = 200
"""Alerts that are looked through for those of an emulation: it has only just begun."""
ACTOR: Final = "nsentry"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of the emulation of a detection."""

    detection: str
    runtime: str
    run: str
    outcome: Outcome


class Stage:
    """Runs emulations on one runtime, for one controller."""

    def __init__(
        self, state: State, runtime: Runtime, timeout: float, host: str | None, *, keep_open: bool
    ) -> None:
        self._state = state
        self._runtime = runtime
        self._timeout = timeout
        self._host = host
        self._keep_open = keep_open

    def run(self, detection: Detection, image: str) -> Result:
        """Does it, and keeps what came of it, even when it failed or was interrupted."""
        from controller.store import emulations  # noqa: PLC0415 - help does not wait for it

        run = secrets.token_hex(6)
        names, staged = (
            (detection.id, self._runtime.name),
            (script.knobs(detection.emulation), output.actor()),
        )
        self._write(lambda at, now: emulations.begin(at, run, *names, now, staged=staged))
        outcome = emulations.Outcome(False, error="interrupted")
        try:
            outcome = self._staged(detection, image, run)
        except EmulationError as error:
            outcome = emulations.Outcome(False, error=str(error))
        finally:
            result = Result(detection.id, self._runtime.name, run, outcome)
            self._keep(result)
        return result

    def _staged(self, detection: Detection, image: str, run: str) -> Outcome:
        from controller.store import emulations  # noqa: PLC0415 - as above

        with self._runtime.container(image, run) as made:
            self._write(lambda at, _: emulations.made(at, run, [made.id]))
            began = time.monotonic()
            state = self._state.settings().state_dir
            patience = max(script.SCRIPT_S, self._timeout)  # whose host is slow gives both longer
            script.run(detection.emulation, made, self._runtime.place, state, patience=patience)
            ids = {made.id, *self._runtime.containers(run)}
            self._write(lambda at, _: emulations.made(at, run, sorted(ids)))
            return self._wait(detection.id, made.name, ids, began)

    def _wait(self, detection: str, name: str, ids: Collection[str], began: float) -> Outcome:
        """Looks for the finding, for as long as is allowed after the script. What is late counts as silent."""
        from controller.store.emulations import Outcome  # noqa: PLC0415 - as above

        until = time.monotonic() + self._timeout
        while True:
            alerts = self._alerts(name, ids)
            took = time.monotonic() - began
            fired = next((each for each in alerts if detection in each["detections"]), None)
            if fired is not None or time.monotonic() > until:
                break
            time.sleep(POLL_S)
        also = tuple(sorted({name for each in alerts for name in each["detections"]} - {detection}))
        if fired is None:
            late = f"no alert within {self._timeout:.0f} s"
            return Outcome(
                False, also=also, error=f"{late}: does a sensor on that host send to this controller?"
            )
        return Outcome(True, round(took, 2), fired["session"], fired["id"], also)

    def _alerts(self, name: str, ids: Collection[str]) -> list[AlertRow]:
        """The alerts on the containers of the run, and on what was asked in its name."""
        from controller.store import alerts  # noqa: PLC0415 - as above

        with self._state.reading() as connection:
            latest = alerts.list_(connection, limit=LATEST, order="newest")
        here = [each for each in latest if self._host in (None, each["host"], each["host_id"])]
        return [each for each in here if each["container"]["id"] in ids or name in each["title"]]

    def _keep(self, result: Result) -> None:
        from controller.store import alerts, emulations  # noqa: PLC0415 - as above

        def keep(connection: Connection, now: int) -> None:
            emulations.ended(connection, result.run, now, result.outcome)
            if not self._keep_open:
                for each in emulations.open_alerts(connection, result.run):
                    reason = f"staged: the emulation of {result.detection}"
                    alerts.set_state(connection, each, "benign_true_positive", ACTOR, reason, now)

        self._write(keep)

    def _write(self, work: Callable[[Connection, int], None]) -> None:
        self._state.write(lambda connection: work(connection, time.time_ns()))
