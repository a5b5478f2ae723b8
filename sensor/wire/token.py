# SPDX-License-Identifier: Apache-2.0
"""The enrolment token: how a person carries the secret and the CA certificate to a host."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Final

from sensor.wire.messages import Malformed

TOKEN_PREFIX: Final = "nsentry1."  # noqa: S105 - it tells a token by its beginning
MAX_TOKEN_TEXT: Final = 64 * 1024
"""Longest enrolment token that is read, in characters: a secret and a certificate chain fit many times."""


def encode_token(secret: str, ca_pem: str) -> str:
    """The enrolment token as a person carries it to a host: the secret, and the CA to trust at once.

    One line of URL-safe characters. Inverse of `decode_token`.
    """
    plain = json.dumps({"t": secret, "ca": ca_pem}, separators=(",", ":")).encode()
    return TOKEN_PREFIX + base64.urlsafe_b64encode(plain).rstrip(b"=").decode("ascii")


def decode_token(text: str) -> tuple[str, str]:
    """Secret and CA certificate (PEM) of an enrolment token; white space around it is no part of it.

    Raises Malformed with a sentence that never holds the secret.
    """
    text = text.strip()
    if not text.startswith(TOKEN_PREFIX):
        raise Malformed(f"not an enrolment token: it begins with {TOKEN_PREFIX!r}")
    if len(text) > MAX_TOKEN_TEXT:
        raise Malformed(f"enrolment token of {len(text)} characters, at most {MAX_TOKEN_TEXT} are read")
    body = text.removeprefix(TOKEN_PREFIX)
    try:
        plain = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        value = json.loads(plain)
    except (binascii.Error, ValueError, RecursionError):
        raise Malformed("the enrolment token is cut short or changed: copy it whole") from None
    match value:
        case {"t": str(secret), "ca": str(ca_pem)} if secret and ca_pem:
            return secret, ca_pem
    raise Malformed("the enrolment token lacks its secret or its CA certificate")
