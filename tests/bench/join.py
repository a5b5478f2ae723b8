# SPDX-License-Identifier: Apache-2.0
"""The join of as many sessions as records, by itself and through worker and store, each second of CPU; on one core.

Each session has its record: half come before it and half after, every eighth in another batch.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from controller.bus import EmbeddedBus
from controller.detect import join
from controller.detect.worker import Worker
from controller.store import migrate
from controller.store.schema import attributions, hosts
from sensor.health import resident_bytes
from tests.bench.throughput import BOOT, visit
from vagrant.local.stack import Stack

HOST = "h" + "0" * 16
SESSIONS = 2_000
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
        bus, events = EmbeddedBus(store), list(_events())
        for first in range(0, len(events), 500):
            bus.append(HOST, events[first : first + 500], 1).result()
        worker = Worker(store, bus)
        before = _resident()
        begin = time.process_time()
        while worker.run_once():
            pass
        took = time.process_time() - begin
        with store.read() as connection:
            kept = connection.execute(attributions.select()).mappings().all()
        exact = sum(each["confidence"] == "exact" for each in kept)
    yield (
        f"joined   {exact / took:,.0f} sessions/s of CPU through worker and store "
        f"({exact} of {SESSIONS} exact, {len(events) / took:,.0f} events/s, {_resident() - before:+.1f} MiB)"
    )


def _events() -> Iterator[dict[str, Any]]:
    yield _record(0, "source_up", None)
    late: list[dict[str, Any]] = []
    for number in range(1, SESSIONS + 1):
        exec_id = f"{number:064x}"
        said = _record(number, "exec_start", exec_id)
        entry, *_, end = visit(HOST, number)
        entry |= {"means": "docker-exec", "exec_id": exec_id}
        if number % 8 == 0:
            late.append(said)
            yield from (entry, end)
        else:
            yield from (said, entry, end) if number % 2 else (entry, said, end)
        if len(late) == 50:
            yield from late
            late.clear()
    yield from late


def _record(number: int, action: str, exec_id: str | None) -> dict[str, Any]:
    now = time.time_ns()
    return {
        "id": f"{HOST}/{BOOT}/{10**6 + number}",
        "time": now - (10**12 if exec_id is None else 0),
        "mono": number,
        "kind": "record",
        "source": "docker",
        "place": "/run/docker.sock",
        "key": f"{number:032x}",
        "action": action,
        "owner": 0,
        "container_id": None if exec_id is None else f"{number % CONTAINERS:064x}",
        "exec_id": exec_id,
        "pid": None,
        "command": "/bin/sh",
        "code": None,
        "read": now,
        "detail": {},
    }


def _resident() -> float:
    return (resident_bytes() or 0) / 2**20
