# SPDX-License-Identifier: Apache-2.0
"""What a file holds, fit to leave the host: without secrets, bounded; and what differs of it. Pure but for `read`."""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from sensor.enrich.text import clean
from sensor.wire import MAX_DIFFERENCE, FileState, printable

MAX_BYTES: Final = 1024 * 1024
"""Of one file; what is behind it counts for the digest alone."""
MAX_LINES: Final = 2000
MAX_LINE: Final = 400
_AROUND: Final = 2
"""Lines that are told around one that differs."""
MASK: Final = "***"

_PEM: Final = re.compile(r"-----(BEGIN|END)[A-Z ]* PRIVATE KEY-----")
_VALUE: Final = re.compile(
    r"^(?P<keep>\s*(?:-\s*)?[\"']?value[\"']?\s*:\s*)(?P<secret>\S.*?)(?P<end>[\s,}\]]*)$"
)
"""Of a variable in a pod's manifest, whose name stands in the line before: its names are told, not its values."""
_INLINE: Final = re.compile(
    r"(?P<keep>(?<![\w.-])[\"']?value[\"']?\s*:\s*)(?:\"(?:[^\"\\]|\\.)*+\"|'[^']*+'|[^\s,}\]*\"'][^,}\]]*+)"
)
"""The same where both stand on one line, as in JSON."""
_BLOCK: Final = re.compile(r"[|>][-+0-9]*")
"""The value is the lines that follow, further in."""
_KEY_DATA: Final = re.compile(r"(?P<keep>key-data[\"']?\s*:\s*)\S+")


class Content(NamedTuple):
    """A file as it was read."""

    state: FileState
    lines: list[str]
    """Without secrets, each bounded."""


def read(path: str, redact: Callable[[str], str]) -> Content | None:
    """The file now; None where it is gone, or no regular file. Never waits. Raises OSError for any other trouble."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        return None
    with open(handle, "rb") as file:  # noqa: PTH123 - it is open already
        found = os.fstat(handle)
        data, digest = file.read(MAX_BYTES), sha256()
        digest.update(data)
        rest = file.read(MAX_BYTES)
        while rest:
            digest.update(rest)
            rest = file.read(MAX_BYTES)
    state = FileState(
        digest=digest.hexdigest(),
        size=found.st_size,
        uid=found.st_uid,
        mode=stat.S_IMODE(found.st_mode),
        modified=max(0, found.st_mtime_ns),
    )
    return Content(state, shown(data.decode("utf-8", "backslashreplace").splitlines(), redact))


def shown(lines: Sequence[str], redact: Callable[[str], str]) -> list[str]:
    """The lines without secrets, bounded and printable."""
    made, private, block = [], False, -1
    for whole in lines[:MAX_LINES]:
        line = whole[:4096]
        pem, depth = _PEM.search(line), len(line) - len(line.lstrip())
        if block >= 0 and (depth > block or not line.strip()):
            made.append(MASK)
            continue
        value = _VALUE.match(line)
        block = depth if value and _BLOCK.fullmatch(value["secret"]) else -1
        if pem or private:
            private = pem is None or pem[1] == "BEGIN"
            made.append(MASK)
            continue
        if value:
            line = value["keep"] + MASK + value["end"]
        hidden = redact(_KEY_DATA.sub(rf"\g<keep>{MASK}", _INLINE.sub(rf"\g<keep>{MASK}", line)))
        made.append(printable(clean(hidden, 4096))[:MAX_LINE])
    return made


def difference(before: Sequence[str], after: Sequence[str]) -> tuple[list[str], bool]:
    """A unified difference of what is shown of a file, and whether some of it is left out."""
    lines = list(difflib.unified_diff(before, after, n=_AROUND, lineterm=""))[
        2:
    ]  # without the names of two files
    return lines[:MAX_DIFFERENCE], len(lines) > MAX_DIFFERENCE
