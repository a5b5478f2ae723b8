# SPDX-License-Identifier: Apache-2.0
"""Receivers as others run them: a syslog server over TLS, an HTTPS server that can fail, be slow, and come back."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificate(folder):
    """A self-signed certificate of localhost: paths of it (which is its own CA) and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, key_file = folder / "receiver.pem", folder / "receiver.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pem, key_file


def server_context(pem, key_file):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key_file)
    return context


class Syslog:
    """Takes connections, counts octets as RFC 5425 has it, keeps the messages."""

    def __init__(self, context=None, port=0):
        self.messages: list[str] = []
        self.broken: list[bytes] = []
        self._context = context
        self._connections = []
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
                if self._context is not None:
                    connection = self._context.wrap_socket(connection, server_side=True)
            except ssl.SSLError:
                continue
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection):
        with connection, connection.makefile("rb") as file:
            self._messages(file)

    def _messages(self, file):
        try:
            while True:
                digits = b""
                while (byte := file.read(1)) not in {b" ", b""}:
                    digits += byte
                if not digits.isdigit():
                    self.broken += [digits] if digits else []
                    return
                self.messages.append(file.read(int(digits)).decode())
        except OSError:
            return

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._connections:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # a reader of its file would keep it open
            each.close()


class Hook:
    """An HTTPS server whose next answers are in `answers` (status codes); 200 when there are none left."""

    def __init__(self, context, port=0):
        self.got: list[tuple[dict, bytes]] = []
        self.refused: list[str] = []
        self.answers: list[int] = []
        self.never: set[str] = set()
        """Ids of messages at which it fails, whenever they come."""
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                status = hook.answers.pop(0) if hook.answers else 200
                status = 500 if self.headers["x-nsentry-id"] in hook.never else status
                if status == 200:
                    hook.got.append((dict(self.headers.items()), body))
                else:
                    hook.refused.append(self.headers["x-nsentry-id"])
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def documents(self):
        return [json.loads(body) for _, body in self.got]

    def close(self):
        self._server.shutdown()
        self._server.server_close()
