# SPDX-License-Identifier: Apache-2.0
"""What sensors send: their enrolment, batches of events, heartbeats."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from controller.ingest import body, decode, ownership
from controller.ingest.refusal import RefusedError
from controller.store import enrolment, hosts
from sensor import wire

if TYPE_CHECKING:
    from starlette.requests import Request

    from controller.store.engine import Store

MAX_SMALL_BYTES: Final = 256 * 1024
"""Longest heartbeat or enrolment."""
_MAX_CREDENTIAL: Final = 256
_ENROL: Final = {
    "host": "enrol the sensor",
    "cluster": "make a kubeconfig by 'nsentry-controller kubernetes enroll'",
}


async def enrol(request: Request) -> Response:
    """POST /api/v1/enroll: wire.Enrolment -> wire.Enrolled. The token in it is the credential."""
    with request.app.state.admission.enter("(enrolment)"):
        wanted = decode.enrolment(await body.read(request, MAX_SMALL_BYTES))
        now = time.time_ns()
        future = request.app.state.store.submit(lambda connection: enrolment.enrol(connection, wanted, now))
        made = await asyncio.wrap_future(future)
    if made is None:
        raise RefusedError(
            "token",
            "the enrolment token is unknown, used up or expired: "
            "make a new one with 'nsentry-controller token create'",
        )
    host, credential = made
    return _packed({"v": wire.VERSION, "host": host, "credential": credential})


async def batches(request: Request) -> Response:
    """POST /api/v1/batches: wire.Batch -> wire.Ack, once every event of it is on the disk."""
    state = request.app.state
    host = await authenticate(request)
    try:
        with state.admission.enter(host):
            data = await body.read(request, wire.MAX_BATCH_BYTES)
            batch = await run_in_threadpool(_batch_of, data, host)
            received = time.time_ns()
            appended = state.bus.append(host, batch["events"], received)
            last = max((event["time"] for event in batch["events"]), default=None)
            await _heard(state.store, batch, received, last_event=last)
            result = await asyncio.wrap_future(appended)
    except RefusedError as refused:
        refused.host = host
        raise
    state.tally.add("ingest.stored", result.stored)
    state.tally.add("ingest.duplicate", result.duplicate)
    return _packed({"v": wire.VERSION, "stored": result.stored, "duplicate": result.duplicate})


async def heartbeat(request: Request) -> Response:
    """POST /api/v1/heartbeat: wire.Heartbeat -> an empty wire.Ack. Only the latest is kept."""
    state = request.app.state
    host = await authenticate(request)
    try:
        with state.admission.enter(host):
            message = decode.heartbeat(await body.read(request, MAX_SMALL_BYTES))
            ownership.check_host(message["host"], host)
            await _heard(state.store, message, time.time_ns(), heartbeat=message)
    except RefusedError as refused:
        refused.host = host
        raise
    return _packed({"v": wire.VERSION, "stored": 0, "duplicate": 0})


async def authenticate(request: Request, kind: str = "host") -> str:
    """The id of the host, or cluster, whose credential the request carries. RefusedError: "credential", "revoked"."""
    enrol_again = _ENROL[kind]
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not credential:
        raise RefusedError("credential", f"this needs a credential: {enrol_again}")
    identity = await run_in_threadpool(_identify, request.app.state.store, credential[:_MAX_CREDENTIAL])
    if identity is None or identity.kind != kind:
        raise RefusedError("credential", f"the credential is not known here: {enrol_again}")
    if identity.revoked:
        raise RefusedError("revoked", f"the credential was revoked: {enrol_again}", identity.host)
    return identity.host


def _identify(store: Store, credential: str) -> enrolment.Identity | None:
    with store.read() as connection:
        return enrolment.identify(connection, credential)


def _batch_of(data: bytes, host: str) -> wire.Batch:
    batch = decode.batch(data)
    ownership.check_batch(batch, host)
    return batch


async def _heard(
    store: Store,
    message: wire.Batch | wire.Heartbeat,
    received: int,
    last_event: int | None = None,
    heartbeat: wire.Heartbeat | None = None,
) -> None:
    contact = hosts.Contact(
        host=message["host"],
        sensor=message["sensor"],
        sent=message["sent"],
        received=received,
        last_event=last_event,
        heartbeat=heartbeat,
    )
    await asyncio.wrap_future(store.submit(lambda connection: hosts.heard(connection, contact)))


def _packed(message: dict[str, Any]) -> Response:
    return Response(wire.pack(message), media_type="application/vnd.msgpack")
