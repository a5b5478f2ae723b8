# SPDX-License-Identifier: Apache-2.0
"""What is refused: with a status, a cause under which it is counted, and a sentence that says why."""

from __future__ import annotations

from typing import Final

CAUSES: Final[dict[str, int]] = {
    "credential": 401,  # none, or one that never was good
    "revoked": 401,
    "token": 401,  # enrolment token: unknown, used up or expired
    "scope": 403,  # the token of a program is not for this
    "foreign": 403,  # an event, a session or a message of another host
    "malformed": 400,
    "slow": 408,
    "size": 413,
    "version": 426,
    "busy": 429,
    "rate": 429,  # more requests of one program than are taken in a minute
    "store": 503,  # the database did not take it
}
"""Every cause, with its status. Counted as "refused.<cause>"."""


class RefusedError(Exception):
    """A request that is not served. `host` is set where the sensor has proven who it is."""

    def __init__(self, cause: str, sentence: str, host: str | None = None, **more: object) -> None:
        super().__init__(sentence)
        self.cause = cause
        self.status = CAUSES[cause]
        self.sentence = sentence
        self.host = host
        self.more: dict[str, object] = more
        """What else the answer says: of a batch, the index of the first bad event."""
