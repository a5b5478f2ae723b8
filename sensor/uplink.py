# SPDX-License-Identifier: Apache-2.0
"""The one place that speaks HTTPS to the controller, and puts into words what goes wrong there.

Only the CA that was pinned at enrolment is trusted. Proxies and CA bundles of the environment are not used:
urllib3 reads neither. What requests would put on top of it (CA bundles, encodings, sessions) is not needed here, and
is 4 MiB of a sensor's memory.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import msgpack
import urllib3

from sensor import __version__
from sensor.fault import ExitCode, Fault
from sensor.wire import printable

_CONNECT_TIMEOUT_S: Final = 5.0
_MAX_ANSWER_BYTES: Final = 64 * 1024
_MAX_SENTENCE: Final = 500
# Verification results of OpenSSL (X509_V_ERR_*, x509_vfy.h).
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_UNKNOWN_ISSUER: Final = frozenset({2, 7, 18, 19, 20, 21})
_WRONG_NAME: Final = frozenset({62, 64})


_KNOWN: Final[tuple[tuple[tuple[type[BaseException], ...], str, str], ...]] = (
    (
        (urllib3.exceptions.ProxyError,),
        "the proxy does not let requests through to {place}",
        "check controller.proxy",
    ),
    (
        (ssl.SSLError,),
        "{place} answers, but does not speak TLS as a controller does",
        "check host and port of the controller's address {url}",
    ),
    (
        (socket.gaierror,),
        "the name {host} is not known",
        "check the controller's address {url}, or the resolver: getent hosts {host}",
    ),
    (
        (ConnectionRefusedError,),
        "nothing listens at {place}",
        "start the controller there (nsentry-controller serve), or correct its address {url}",
    ),
    (
        (TimeoutError, urllib3.exceptions.TimeoutError),
        "{place} does not answer in time",
        "check the network and the firewalls on the way to {url}",
    ),
)
"""Kinds of failure, in words. The last comes last: urllib3 takes each failed connection for a timeout."""


class UnreachableError(Fault):
    """No answer that can be trusted: the request may or may not have arrived."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the controller answered, bounded."""

    status: int
    body: bytes
    retry_after: str | None
    date: str | None
    """Its clock, as HTTP writes it."""

    def sentence(self) -> str:
        """Why it refused, in its own words; the bare status where it has none. Fit for a terminal."""
        found = _decoded(self.body).get("error")
        text = found if isinstance(found, str) else f"HTTP status {self.status}"
        return printable(text[:_MAX_SENTENCE])

    def index(self) -> int | None:
        """Which event of a batch was the first bad one, if it says so."""
        found = _decoded(self.body).get("index")
        return found if isinstance(found, int) and not isinstance(found, bool) else None


class Uplink:
    """Requests to one controller over a kept connection. For one thread."""

    def __init__(
        self,
        url: str,
        ca: Path,
        credential: str | None = None,
        *,
        timeout_s: float = 20.0,
        proxy: str | None = None,
    ) -> None:
        self.url = url
        self._ca = ca
        self._timeout = urllib3.Timeout(connect=min(_CONNECT_TIMEOUT_S, timeout_s), read=timeout_s)
        self._headers = {
            "User-Agent": f"nsentry-sensor/{__version__}",
            "Content-Type": "application/vnd.msgpack",
        }
        if credential is not None:
            self._headers["Authorization"] = f"Bearer {credential}"
        self._pool = _pool(ca, proxy)

    def post(self, path: str, body: bytes) -> Answer:
        """Send a packed message. Raises UnreachableError, or Fault when the CA cannot be used."""
        _check_ca(self._ca)
        try:
            response = self._pool.request(
                "POST",
                self.url + path,
                body=body,
                headers=self._headers,
                timeout=self._timeout,
                redirect=False,
                retries=False,
                preload_content=False,
            )
            try:
                content = response.read(_MAX_ANSWER_BYTES, decode_content=False)
            finally:
                # Read to its end, it has given its connection back by now; else that one is not used again.
                response.close()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise explain(error, self.url, self._ca) from error
        headers = response.headers
        return Answer(response.status, content, headers.get("Retry-After"), headers.get("Date"))

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._pool.clear()


def _pool(ca: Path, proxy: str | None) -> urllib3.PoolManager:
    if proxy is None:
        return urllib3.PoolManager(cert_reqs="CERT_REQUIRED", ca_certs=str(ca))
    # The address of a proxy may hold a name and password: they go into a header of their own.
    basic = urllib3.util.parse_url(proxy).auth
    return urllib3.ProxyManager(
        proxy,
        proxy_headers=urllib3.make_headers(proxy_basic_auth=unquote(basic)) if basic else None,
        cert_reqs="CERT_REQUIRED",
        ca_certs=str(ca),
    )


def explain(error: BaseException, url: str, ca: Path) -> UnreachableError:
    """What kept the controller from answering, in words."""
    parts = urlsplit(url)
    names = {"host": parts.hostname, "place": f"{parts.hostname}:{parts.port or 443}", "url": url}
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _certificate(cause, url, ca)
    for kinds, sentence, fix in _KNOWN:
        if any(isinstance(cause, kinds) for cause in causes):
            return _unreachable(sentence.format(**names), fix.format(**names))
    inner = printable(str(causes[-1]))[:_MAX_SENTENCE]
    return _unreachable(f"the connection to {names['place']} broke: {inner}", "")


def _certificate(error: ssl.SSLCertVerificationError, url: str, ca: Path) -> UnreachableError:
    host = urlsplit(url).hostname
    code = error.verify_code
    if code in {_EXPIRED, _NOT_YET_VALID}:
        word = "has expired" if code == _EXPIRED else "is not valid yet"
        return _unreachable(
            f"the certificate of {url} {word} by this host's clock",
            "check the clock of this host (timedatectl), then renew the controller's certificate there",
        )
    if code in _WRONG_NAME:
        return UnreachableError(
            f"the certificate of {url} is not made for {host}",
            exit_code=ExitCode.CONFIG,
            fix="use a name or address that the controller's certificate holds",
        )
    if code in _UNKNOWN_ISSUER:
        return UnreachableError(
            f"the certificate of {url} is not signed by the CA that this sensor trusts ({ca})",
            exit_code=ExitCode.CONFIG,
            fix="if that is the right controller, enrol again with a token made there; "
            "if not, somebody may be in between",
        )
    return UnreachableError(
        f"the certificate of {url} cannot be verified: {error.verify_message}", exit_code=ExitCode.CONFIG
    )


def _unreachable(sentence: str, fix: str) -> UnreachableError:
    return UnreachableError(sentence, exit_code=ExitCode.UNREACHABLE, fix=fix)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that led to it, as urllib3 nests them: cause, reason, arguments."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]


def _check_ca(ca: Path) -> None:
    """Said plainly here: a missing CA is an OSError for urllib3, one that is no certificate an SSLError."""
    try:
        # Not create_default_context: loading a file is all that is tried.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(ca)
    except (OSError, ValueError) as error:
        reason = "does not exist" if isinstance(error, FileNotFoundError) else "cannot be used as one"
        raise Fault(
            f"the CA certificate {ca} {reason}",
            exit_code=ExitCode.CONFIG,
            fix="enrol again, or correct controller.ca",
        ) from error


def _decoded(body: bytes) -> dict[str, object]:
    """Body of an answer: msgpack or JSON, a map, else empty."""
    try:
        value = json.loads(body) if body[:1] == b"{" else msgpack.unpackb(body)
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
