# SPDX-License-Identifier: Apache-2.0
"""One saying of an audit, as it is put together: the request, what it is called, its command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import parse_qs

from sensor.wire.audit_objects import text
from sensor.wire.bounds import MAX_ARGS, MAX_TEXT
from sensor.wire.parts import Request

MAX_FIELDS: Final = 2 * MAX_ARGS
MAX_QUERY: Final = 64 * MAX_TEXT
"""Most of a URI, and of its parts, that is looked at."""

Redact = Callable[[list[str]], tuple[list[str], bool]]


class NotAudit(ValueError):  # noqa: N818 - says what it is
    """The bytes are no event of audit.k8s.io/v1, or lack what names one. Says why."""


@dataclass(slots=True)
class Saying:
    """What one stage of a request tells, as a record is made of it. `time`: when the request came, ns."""

    key: str
    action: str
    time: int
    request: Request
    command: str | None = None
    detail: dict[str, str] = field(default_factory=dict)


def nanoseconds(value: object) -> int:
    """Of an RFC 3339 time. Raises NotAudit."""
    try:
        at = datetime.fromisoformat(value if isinstance(value, str) else "")
        whole = int(at.replace(microsecond=0).timestamp()) * 10**9 + at.microsecond * 1000
    except (ValueError, OverflowError) as error:
        raise NotAudit("an event without its times") from error
    if at.tzinfo is None or not 0 < whole < 2**62:
        raise NotAudit("an event without its times")
    return whole


def made(document: Mapping[str, Any], request: Request, action: str) -> Saying:
    """What the stage says, called by what became of it. Raises NotAudit."""
    code = request["code"]
    if code is not None and code >= 400:
        action = f"{action}_{'denied' if code in {401, 403} else 'failed'}"
    said = f"{request['id']}\0{request['stage']}".encode()
    came = nanoseconds(document.get("requestReceivedTimestamp"))
    return Saying(blake2b(said, digest_size=16).hexdigest(), action, came, request)


def query(saying: Saying, uri: str, name: str, redact: Redact) -> None:
    """The command and what else the query of the URI has."""
    request, fields = saying.request, uri.partition("?")[2][:MAX_QUERY]
    try:
        asked = parse_qs(fields, keep_blank_values=True, errors="backslashreplace", max_num_fields=MAX_FIELDS)
    except ValueError:
        request["absent"] = f"command not read: more than {MAX_FIELDS} parts in the request"
        return
    request["container"] = request["container"] or text(asked.get("container", [None])[0])
    request["terminal"] = asked.get("tty", ["false"])[0] in {"true", "1"}
    words = asked.get(name, [])
    if name == "cmd":
        words = [word for each in words for word in each.split(" ")]
    if words:
        commanded(saying, words, redact)
        if len(uri.partition("?")[2]) > MAX_QUERY:
            request["whole"] = False
    elif request["resource"] in {"pods/exec", "nodes/proxy"}:
        request["absent"] = f"command not in the audit: level {request['level']}"


def commanded(saying: Saying, words: list[str], redact: Redact) -> None:
    """Take the words of a command, bounded and without secrets."""
    kept = [text(word, MAX_TEXT) or "" for word in words[:MAX_ARGS]]
    while sum(map(len, kept)) > 2 * MAX_TEXT:
        kept.pop()
    shown, hidden = redact(kept) if kept else ([words[0][:MAX_TEXT]], False)
    command = " ".join(shown)
    saying.command = command[:MAX_TEXT]
    uncut = len(kept) == len(words) and all(len(word) <= MAX_TEXT for word in words)
    saying.request["whole"] = uncut and len(command) <= MAX_TEXT and not hidden
