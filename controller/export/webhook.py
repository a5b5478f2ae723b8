# SPDX-License-Identifier: Apache-2.0
"""Webhooks: one POST a message, signed, over TLS that is verified. No proxy of the environment, no redirects.

X-Nsentry-Id: <id of the message; the same again when it is told twice>
X-Nsentry-Signature: t=<seconds since the epoch>,v1=<hex HMAC-SHA256 of "<t>.<body>">
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import TYPE_CHECKING, Final

import urllib3
from urllib3.exceptions import HTTPError

from controller.export.destination import DestinationError, secret
from controller.export.formats import FORMATS
from controller.export.sender import TIMEOUT_S, RefusedError, SendError, tls_context
from sensor import wire

if TYPE_CHECKING:
    from controller.export.destination import Destination
    from controller.export.item import Item

MAX_ASKED_S: Final = 300.0
"""Longest that Retry-After is obeyed."""
MAX_SAID: Final = 200
_TRY_AGAIN: Final = frozenset({401, 403, 404, 408, 425, 429})
"""Client errors that somebody may mend without the message being another: a token, a path, a limit."""

_BUSY: Final = frozenset({429, 503})


class Webhook:
    """POSTs to one address."""

    def __init__(self, destination: Destination) -> None:
        parts = destination.url()
        if parts.scheme not in {"https", "http"} or not parts.hostname:
            raise DestinationError(f"export {destination.name}: the address is no https://HOST/PATH")
        self._url = parts.geturl()
        self._encode = FORMATS[destination.chosen_format]
        self._cef = destination.chosen_format == "cef"
        self._key = secret(destination, "secret_file").encode() if destination.secret_file else None
        self._headers = _headers(destination)
        self._pool = urllib3.PoolManager(
            ssl_context=tls_context(destination) if parts.scheme == "https" else None,
            timeout=urllib3.Timeout(connect=TIMEOUT_S, read=TIMEOUT_S),
            retries=False,
        )

    def send(self, item: Item) -> None:
        """See Sender."""
        body = self._encode(item).encode("utf-8", "backslashreplace")
        headers = {
            "content-type": "text/plain; charset=utf-8" if self._cef else "application/json",
            "user-agent": "nsentry",
            "x-nsentry-id": item.id,
            **self._headers,
        }
        if self._key is not None:
            headers["x-nsentry-signature"] = signature(self._key, body, int(time.time()))
        try:
            answer = self._pool.request("POST", self._url, body=body, headers=headers, redirect=False)
        except (HTTPError, OSError) as error:
            raise SendError(_reason(error)) from error
        if 200 <= answer.status < 300:
            return
        said = wire.printable(answer.data[:MAX_SAID].decode("utf-8", "replace"))
        text = f"HTTP {answer.status}: {said}" if said else f"HTTP {answer.status}"
        if 300 <= answer.status < 500 and answer.status not in _TRY_AGAIN:
            raise RefusedError(text)
        asked = _asked(answer.headers.get("retry-after"))
        raise SendError(text, 0.0 if asked is None and answer.status in _BUSY else asked)

    def flush(self) -> None:
        """The answer was the acknowledgement."""

    def close(self) -> None:
        """See Sender."""
        self._pool.clear()


def signature(key: bytes, body: bytes, at: int) -> str:
    """The value of X-Nsentry-Signature for a body sent at `at`, seconds since the epoch."""
    digest = hmac.new(key, b"%d.%s" % (at, body), hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def _headers(destination: Destination) -> dict[str, str]:
    if destination.headers_file is None:
        return {}
    told = {}
    for number, line in enumerate(secret(destination, "headers_file").splitlines(), 1):
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise DestinationError(
                f'export {destination.name}: {destination.headers_file}:{number}: expected "Name: value"'
            )
        told[name.strip().lower()] = value.strip()
    return told


def _asked(value: str | None) -> float | None:
    return min(float(value), MAX_ASKED_S) if value is not None and value.isdecimal() else None


def _reason(error: BaseException) -> str:
    """What went wrong in the first place: urllib3 wraps it several times."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__
