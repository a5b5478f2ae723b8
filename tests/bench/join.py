# SPDX-License-Identifier: Apache-2.0
"""The join of as many sessions as records, by itself and through worker and store, each second of CPU; on one core.

The load is `load.events`: visits with their commands. That memory is bounded shows in its steps.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from sqlalchemy import func, select

from controller.bus import EmbeddedBus
from controller.detect import join
from controller.detect.worker import Worker
from controller.store import migrate
from controller.store.records_schema import attributions
from controller.store.schema import hosts
from sensor.health import resident_bytes
from tests.bench import load
from vagrant.local.stack import Stack

HOST = "h" + "0" * 16
SESSIONS = 10_000
STEPS = 5
ROUNDS = 50
CONTAINERS = 50
SECOND = 1_000_000_000


def measure(stack: Stack) -> Iterator[str]:
    """Lines of the report. Only the folder of `stack` is used."""
    yield _pure()
    yield from _through_the_store(f"sqlite:///{stack.root / 'join.db'}")


def _pure() -> str:
    """One second of one host: 1,000 sessions in 50 containers, and their records, in each round."""
    begin, joined, before = time.process_time(), 0, _resident()
    for at in range(ROUNDS):
        for container in map(str, range(CONTAINERS)):
            moments = [at * SECOND + each for each in range(20)]
            wanted = [
                join.Wanted(f"{container}/{each}", "docker-exec", container, each, str(each))
                for each in moments
            ]
            told = [join.Told(str(each), "docker", container, each, str(each)) for each in reversed(moments)]
            joined += len(join.assign(wanted, told))
    took = time.process_time() - begin
    grown = _resident() - before
    return f"join     {joined / took:,.0f} sessions/s of CPU by itself ({joined} joined, {grown:+.1f} MiB)"


def _through_the_store(url: str) -> Iterator[str]:
    migrate.create(url)
    migrate.upgrade(url)
    with migrate.open_store(url) as store:
        row = dict.fromkeys(("kernel", "os", "arch", "sensor"), "x")
        row |= {"id": HOST, "name": "bench", "credential": "c", "enrolled": 1}
        store.write(lambda connection: connection.execute(hosts.insert().values(row)))
        bus = EmbeddedBus(store)
        worker = Worker(store, bus)
        for first in range(1, SESSIONS, SESSIONS // STEPS):
            events = list(load.events(HOST, SESSIONS // STEPS, first))
            for at in range(0, len(events), 500):
                bus.append(HOST, events[at : at + 500], 1).result()
            begin = time.process_time()
            while worker.run_once():
                pass
            took = time.process_time() - begin
            with store.read() as connection:
                query = select(func.count()).select_from(attributions)
                exact = connection.execute(query.where(attributions.c.confidence == "exact")).scalar_one()
            yield (
                f"joined   {SESSIONS / STEPS / took:,.0f} sessions/s of CPU through worker and store "
                f"({exact} exact by now, {len(events) / took:,.0f} events/s, {_resident():.1f} MiB)"
            )


def _resident() -> float:
    return (resident_bytes() or 0) / 2**20
