# SPDX-License-Identifier: Apache-2.0
"""What the application answers when its own parts fail: never an acknowledgement, never a traceback."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from controller.app import create_app
from controller.bus import EmbeddedBus
from controller.settings import Settings
from controller.store import counters, enrolment
from controller.store.engine import StoreError
from sensor import wire
from tests.controller import make

NOW = make.BEGIN


class FailingBus(EmbeddedBus):
    """A bus whose database takes nothing."""

    def append(self, host, events, received):
        def full(_connection):
            raise StoreError("the database did not take a write: database or disk is full")

        return self._store.submit(full)


@dataclass
class Answer:
    """What the application sent."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self):
        return json.loads(self.body)


async def ask(app, method, path, credential, body):
    """One request, the way uvicorn makes it, from the application's start to its end."""
    sent = []
    headers = [(b"authorization", f"Bearer {credential}".encode())]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "scheme": "https",
    }

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    async with app.router.lifespan_context(app):
        try:
            await app(scope, receive, send)
        except AttributeError:  # a defect goes to the server's log, after it was answered
            assert sent
    start, *rest = sent
    fields = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], fields, b"".join(part["body"] for part in rest))


@pytest.fixture
def ask_of(store, tmp_path):
    def call(bus, method, path, credential="", body=b"", **more):
        settings = Settings(state_dir=tmp_path, host="127.0.0.1", port=0, url="https://localhost:1")
        app = create_app(settings, store, bus, "operator", **more)
        # In a thread: the browser that other tests keep open has an event loop running in this one.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, ask(app, method, path, credential, body)).result()

    return call


@pytest.fixture
def sensor(store):
    token = store.write(lambda connection: enrolment.new_token(connection, NOW, 60, 1))
    return store.write(lambda connection: enrolment.enrol(connection, make.enrolment(token), NOW))


def test_what_the_database_does_not_take_is_not_acknowledged(ask_of, store, sensor):
    host, credential = sensor
    batch = wire.pack(make.batch(make.entry(1, host), host_id=host))

    answer = ask_of(FailingBus(store), "POST", "/api/v1/batches", credential, batch)

    assert answer.status == 503
    assert answer.headers["retry-after"] == "5"
    assert "nothing of this was stored" in answer.json()["error"]
    with store.read() as connection:
        assert counters.all_(connection, "refused.") == {"refused.store": 1}


def test_a_defect_is_answered_without_its_details(ask_of, sensor):
    host, credential = sensor

    answer = ask_of(None, "POST", "/api/v1/batches", credential, wire.pack(make.batch(host_id=host)))

    assert answer.status == 500
    assert answer.json()["cause"] == "defect"
    assert b"NoneType" not in answer.body


def test_it_is_not_ready_while_nothing_is_detected(ask_of, store):
    answer = ask_of(EmbeddedBus(store), "GET", "/readyz", "operator", worker_alive=lambda: False)

    assert answer.status == 503
    assert answer.json()["problems"] == ["the detect worker does not run"]


def test_what_was_counted_is_in_the_database_once_it_has_ended(ask_of, store):
    assert ask_of(EmbeddedBus(store), "GET", "/healthz", "a stranger").status == 401

    with store.read() as connection:
        assert counters.all_(connection) == {"refused.credential": 1}
