# SPDX-License-Identifier: Apache-2.0
"""A collector to deliver to: a real HTTPS server that stores batches, and misbehaves as it is told."""

from __future__ import annotations

import datetime as dt
import http.server
import ipaddress
import json
import socketserver
import ssl
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sensor import wire

CREDENTIAL = "good-credential"
_PEM = serialization.Encoding.PEM


class Authority:
    """A CA of its own, and server certificates of it."""

    def __init__(self, name: str = "test CA") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        self._certificate = (
            self._builder(self._name, self._key, now - dt.timedelta(days=400), now + dt.timedelta(days=400))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = self._certificate.public_bytes(_PEM).decode()

    def _builder(self, subject: x509.Name, key: Any, start: dt.datetime, end: dt.datetime) -> Any:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
        )

    def server_context(
        self,
        folder: Path,
        *,
        names: tuple[str, ...] = ("localhost", "127.0.0.1"),
        days: tuple[int, int] = (-1, 30),
    ) -> ssl.SSLContext:
        """A server's context with a certificate for `names`, valid from and to so many days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "collector")])
        start, end = (now + dt.timedelta(days=one) for one in days)
        certificate = (
            self._builder(subject, key, start, end)
            .add_extension(
                x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        path = folder / f"server-{certificate.serial_number}.pem"
        path.write_bytes(
            key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            + certificate.public_bytes(_PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@dataclass
class Refusal:
    """An answer other than 200."""

    status: int
    sentence: str = "because the test says so"
    headers: dict[str, str] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


DROP = "drop after storing"
"""Store the batch, then close the connection without an answer."""
HANG_UP = "hang up"
"""Close the connection before anything is stored."""

Trick = Refusal | str | bytes | Callable[[dict[str, Any]], Refusal | None]
"""A refusal, DROP, HANG_UP, bytes to answer with 200, or a function of the batch."""


class Collector:
    """Stores events by id, as the controller does. `tricks` are used up one a request; `always` holds for all."""

    def __init__(self, context: ssl.SSLContext, port: int = 0) -> None:
        self.context = context
        self.port = port
        self.events: list[dict[str, Any]] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.heartbeats: list[dict[str, Any]] = []
        self.enrolments: list[dict[str, Any]] = []
        self.duplicates = 0
        self.tricks: deque[Trick] = deque()
        self.always: Trick | None = None
        self.changed = threading.Condition()
        self._ids: set[str] = set()
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def start(self) -> Collector:
        self._server = _Server(("127.0.0.1", self.port), self)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def kill(self) -> None:
        """No longer there; connections that are open break."""
        if self._server is not None:
            self._server.shutdown()
            self._server.close_all()
            self._server.server_close()
            self._server = None

    def wait(self, condition: Callable[[], bool], timeout_s: float = 30.0) -> bool:
        with self.changed:
            return self.changed.wait_for(condition, timeout_s)

    def ids(self) -> list[str]:
        return [event["id"] for event in self.events]

    def trick(self) -> Trick | None:
        return self.tricks.popleft() if self.tricks else self.always

    def store(self, batch: dict[str, Any]) -> dict[str, Any]:
        new = [event for event in batch["events"] if event["id"] not in self._ids]
        self._ids.update(event["id"] for event in new)
        self.events += new
        self.duplicates += len(batch["events"]) - len(new)
        return {"v": wire.VERSION, "stored": len(new), "duplicate": len(batch["events"]) - len(new)}


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], collector: Collector) -> None:
        self.collector = collector
        self._open: set[Any] = set()
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[Any, Any]:
        connection, address = self.socket.accept()
        # The handshake is for the connection's own thread: a client that is slow with it must not stop others.
        wrapped = self.collector.context.wrap_socket(
            connection, server_side=True, do_handshake_on_connect=False
        )
        self._open.add(wrapped)
        return wrapped, address

    def close_request(self, request: Any) -> None:
        self._open.discard(request)
        super().close_request(request)

    def close_all(self) -> None:
        for connection in list(self._open):
            connection.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away in the handshake are what some tests are about."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        collector = self.server.collector
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        with collector.changed:
            collector.requests.append((self.path, dict(self.headers)))
            answer = self._answer(collector, body)
            collector.changed.notify_all()
        if answer is None:
            self.close_connection = True
            self.connection.close()
            return
        status, content, headers = answer
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _answer(self, collector: Collector, body: bytes) -> tuple[int, bytes, dict[str, str]] | None:
        message = wire.unpack(body)
        trick = collector.trick()
        if callable(trick):
            trick = trick(message)
        if trick == HANG_UP:
            return None
        if isinstance(trick, bytes):
            return 200, trick, {}
        if isinstance(trick, Refusal):
            return trick.status, json.dumps({"error": trick.sentence, **trick.more}).encode(), trick.headers
        done = self._serve(collector, message)
        return None if trick == DROP else done

    def _serve(self, collector: Collector, message: dict[str, Any]) -> tuple[int, bytes, dict[str, str]]:
        if self.path == "/api/v1/enroll":
            collector.enrolments.append(message)
            return 200, wire.pack({"v": wire.VERSION, "host": "h-new", "credential": CREDENTIAL}), {}
        if self.headers.get("Authorization") != f"Bearer {CREDENTIAL}":
            return 401, b'{"error": "the credential is not known here"}', {}
        if self.path == "/api/v1/heartbeat":
            collector.heartbeats.append(message)
            return 200, wire.pack({"v": wire.VERSION, "stored": 0, "duplicate": 0}), {}
        return 200, wire.pack(collector.store(message)), {}

    def log_message(self, *_: Any) -> None:
        """Quiet."""
