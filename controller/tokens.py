# SPDX-License-Identifier: Apache-2.0
"""Secrets that are handed out: how they are made, and what is kept of them.

Each is 256 bits from the system's generator, so a plain SHA-256 of it can be kept and looked up: there is
nothing to guess and no need for a slow hash. The prefix says what a found secret is, to people and scanners.
"""

from __future__ import annotations

import hashlib
import secrets


def new(kind: str) -> str:
    """A fresh secret such as "nsentry-sensor-Jf3..."."""
    return f"nsentry-{kind}-{secrets.token_urlsafe(32)}"


def digest(secret: str) -> str:
    """What the database keeps of a secret: its SHA-256 in 64 hex digits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
