# SPDX-License-Identifier: Apache-2.0
"""The webhook of Kubernetes API servers: `--audit-webhook-config-file`, batches of audit.k8s.io/v1.

An event that cannot be read is passed by and told as a gap: were its batch refused, whoever can have one event be
odd would take the others with it, for the API server drops what is answered 4xx.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from controller import validity
from controller.ingest import body, endpoints
from controller.ingest.refusal import RefusedError
from controller.store import audit_sources, clusters
from sensor.wire import audit
from sensor.wire.redact import Redactor

if TYPE_CHECKING:
    from starlette.datastructures import State
    from starlette.requests import Request
    from starlette.responses import Response

    from sensor import wire

MAX_BYTES: Final = 16 * 1024 * 1024
"""Longest batch: one that the API server truncates (--audit-webhook-truncate-enabled) has 10 MiB at most."""
MAX_EVENTS: Final = 4000
"""The API server's default is 400 (--audit-webhook-batch-max-size)."""
PLACE: Final = "webhook"
ADDRESS: Final = "/api/v1/kubernetes/audit"
_REDACT: Final = Redactor(()).argv


class _Envelope(msgspec.Struct):
    kind: str
    apiVersion: str  # noqa: N815 - as it is sent
    items: list[msgspec.Raw]


_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)


@dataclass(slots=True)
class Heard:
    """What a batch told."""

    records: list[wire.Record] = field(default_factory=list)
    passed_by: int = 0
    unreadable: int = 0
    why: str = ""
    """Of the first that could not be read."""
    earliest: int = 0
    latest: int = 0


async def webhook(request: Request) -> Response:
    """POST: EventList of audit.k8s.io/v1, answered once all of it that matters is on the disk."""
    state = request.app.state
    cluster = await endpoints.authenticate(request, clusters.KIND)
    try:
        with state.audit_admission.enter(cluster):
            data = await body.read(request, MAX_BYTES)
            received = time.time_ns()
            heard = await run_in_threadpool(read, data, cluster, received)
            await _keep(state, cluster, heard, received)
    except RefusedError as refused:
        refused.host = cluster
        if refused.cause in {"size", "malformed", "slow"}:
            await _tell_gap(state, cluster, f"a batch was refused: {refused.sentence}")
        raise
    return JSONResponse({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})


def read(data: bytes, cluster: str, received: int) -> Heard:
    """The records in a batch, and what was passed by. RefusedError: it is no batch, or too large."""
    try:
        envelope = _ENVELOPE.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError("malformed", f"not an EventList of audit.k8s.io/v1: {error}"[:300]) from error
    if (envelope.kind, envelope.apiVersion) != ("EventList", "audit.k8s.io/v1"):
        raise RefusedError("malformed", "an EventList of audit.k8s.io/v1 was expected")
    if len(envelope.items) > MAX_EVENTS:
        raise RefusedError("size", f"{len(envelope.items)} events in one batch, at most {MAX_EVENTS}")
    heard, mono = Heard(), time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    for raw in envelope.items:
        try:
            stage = audit.read(bytes(raw), _REDACT)
            record = None if stage.saying is None else _record(stage.saying, cluster, received, mono)
        except (audit.NotAudit, validity.InvalidError) as error:
            heard.unreadable += 1
            heard.why = heard.why or str(error)
            continue
        heard.earliest = min(heard.earliest or stage.said, stage.said)
        heard.latest = max(heard.latest, stage.said)
        if record is None:
            heard.passed_by += 1
        else:
            heard.records.append(record)
    return heard


def _record(saying: audit.Saying, cluster: str, received: int, mono: int) -> wire.Record:
    request = saying.request
    event_id = f"{cluster}/{request['id']}/{audit.STAGES.index(request['stage']) + 1}"
    record = audit.record(saying, event_id, PLACE, 0, received, mono)
    validity.check_event(record)
    return record


async def _keep(state: State, cluster: str, heard: Heard, received: int) -> None:
    def noted(connection: Any) -> None:  # noqa: ANN401 - as Store.submit gives it
        if heard.latest:
            said = (heard.earliest, heard.latest)
            audit_sources.heard(connection, cluster, PLACE, said, received)

    await asyncio.wrap_future(state.store.submit(noted))
    result = await asyncio.wrap_future(state.bus.append(cluster, heard.records, received))
    counts = {
        "stored": result.stored,
        "repeated": result.duplicate,
        "passed_by": heard.passed_by,
        "unreadable": heard.unreadable,
    }
    for what, number in counts.items():
        if number:
            state.tally.add(clusters.count(cluster, what), number)
    if heard.unreadable:
        await _tell_gap(state, cluster, f"{heard.unreadable} events could not be read: {heard.why}")


async def _tell_gap(state: State, cluster: str, why: str) -> None:
    """A record of the source's own, one a second at most."""
    now = time.time_ns()
    second = now // 10**9
    gap: wire.Record = {
        "id": f"{cluster}/gap/{second}",
        "time": now,
        "mono": time.clock_gettime_ns(time.CLOCK_BOOTTIME),
        "kind": "record",
        "source": "kubernetes",
        "place": PLACE,
        "key": f"gap/{second}",
        "action": "source_gap",
        "owner": 0,
        "container_id": None,
        "exec_id": None,
        "pid": None,
        "command": None,
        "code": None,
        "read": now,
        "detail": {"why": why[:256]},
    }
    await asyncio.wrap_future(state.bus.append(cluster, [gap], now))
