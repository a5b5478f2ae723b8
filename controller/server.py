# SPDX-License-Identifier: Apache-2.0
"""Serving: the socket, TLS, the store, the detect worker and the application, from start to a clean end."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import signal
import socket
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TextIO

import uvicorn

from controller import initialise
from controller.app import create_app
from controller.bus import EmbeddedBus
from controller.detect import installed
from controller.detect.engine import Engine
from controller.detect.policy import Policy
from controller.detect.worker import Worker
from controller.errors import OperationError
from controller.export.exporter import Exporter
from controller.forgetting import Forgetting
from controller.pki import Pki
from controller.settings import with_port
from controller.store import migrate
from controller.web.detections import describe_all

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from starlette.applications import Starlette

    from controller.settings import Settings

log = logging.getLogger(__name__)

MAX_CONNECTIONS: Final = 2000
KEEP_ALIVE_S: Final = 75
STOP_WITHIN_S: Final = 5
RENEWAL_CHECK_S: Final = 3600
LOCK_S: Final = STOP_WITHIN_S + 2.0
"""How long another controller may hold the state folder: one that was told to end takes its time for it."""


class ServeError(OperationError):
    """The controller cannot serve; the message says why and what to do."""


def serve(settings: Settings, ready: Callable[[Settings], None]) -> None:
    """Serves until SIGINT or SIGTERM, then ends in order. `ready` is called once requests are answered.

    ServeError: another process serves this state folder, or has the port. SchemaError, PkiError and
    NotInitialisedError as their modules say.
    """
    initialise.require(settings)
    with ExitStack() as stack:
        stack.enter_context(_alone(settings.lock_file))
        listener = stack.enter_context(_listen(settings))
        settings = with_port(settings, listener.getsockname()[1])
        settings.lock_file.write_text(f"{os.getpid()} {settings.url}\n")
        pki = Pki(settings.state_dir)
        _renew(pki, settings)
        context = pki.server_context()
        for step in migrate.upgrade(settings.store_url):
            log.info("brought the database to schema %s", step)
        store = stack.enter_context(migrate.open_store(settings.store_url))
        bus = EmbeddedBus(store)
        detections = installed.logged(settings.sigma_rules, settings.own_detections)
        describe_all(detections)
        worker = Worker(store, bus, Engine(detections), policy=Policy(settings.knobs))
        exporter = Exporter(store, settings.exports)
        app = create_app(
            settings, store, bus, initialise.operator_credential(settings), worker_alive=worker.alive
        )
        worker.start()
        stack.callback(worker.stop)
        exporter.start()
        stack.callback(exporter.stop)
        forgetting = Forgetting(store, settings.retention)
        forgetting.start()
        stack.callback(forgetting.stop)
        server = _Server(
            _config(app, context), lambda: ready(settings), lambda: _renew_into(pki, settings, context)
        )
        server.run(sockets=[listener])
        if not server.started:
            raise ServeError("the server did not start: the log says why")
        log.info("stopping: what was taken in is on the disk")


class _Server(uvicorn.Server):
    """uvicorn, ending by our signals, and telling when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], renew: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready
        self._renew = renew

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ends at the first signal, at once at the second. uvicorn's own would raise the signal again."""
        before = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()
            self._renewing = asyncio.create_task(self._renew_in_time())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._renewing.cancel()
        await super().shutdown(sockets)

    async def _renew_in_time(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL_CHECK_S)
            self._renew()


def _config(app: Starlette, context: ssl.SSLContext) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        ssl_context_factory=lambda _config, _default: context,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_WITHIN_S,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
        lifespan="on",
        http="h11",
        ws="none",
    )


def _renew(pki: Pki, settings: Settings) -> bool:
    reason = pki.renew_server(initialise.names(settings))
    if reason is not None:
        log.info("made a new server certificate: %s", reason)
    return reason is not None


def _renew_into(pki: Pki, settings: Settings, context: ssl.SSLContext) -> None:
    if _renew(pki, settings):
        pki.load_into(context)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Holds the lock of the state folder; it goes with the process, however that ends."""
    with path.open("a+") as file:
        path.chmod(0o600)
        _lock(file, path)
        file.truncate(0)
        yield


def _lock(file: TextIO, path: Path) -> None:
    deadline = time.monotonic() + LOCK_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found = running(path)
            # It may be about to end; a command that asks whether a controller runs holds the lock for a moment.
            if time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            who = f"process {found.pid} at {found.url}" if found else "it has just begun, or is ending"
            raise ServeError(f"a controller serves this state folder already: {who}") from None
        return


@dataclass(frozen=True, slots=True)
class Running:
    """The process that serves a state folder, and the address at which it does."""

    pid: int
    url: str


def running(lock_file: Path) -> Running | None:
    """Who serves the state folder of this lock; None when nobody does."""
    try:
        with lock_file.open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                pid, _, url = file.read(4096).partition(" ")
                return Running(int(pid), url.strip()) if pid.isdecimal() else None
    except FileNotFoundError:
        return None
    return None


@contextmanager
def _listen(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        made = socket.create_server((settings.host, settings.port), family=family, backlog=512)
    except OSError as error:
        place = f"{settings.host}:{settings.port}"
        advice = f"cannot listen on {place}: {error.strerror}"
        if error.errno == errno.EADDRINUSE:
            advice = f"{place} is in use by another program: stop it, or choose another with --listen"
        raise ServeError(advice) from error
    # Each connection inherits it. asyncio sets it only on sockets whose protocol number is given, which
    # create_server leaves at 0: Nagle's algorithm then holds the body back until the head is acknowledged, 40 ms.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with made:
        yield made
