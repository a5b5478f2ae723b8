# SPDX-License-Identifier: Apache-2.0
"""A person at a terminal: types lines into a program that believes so."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def type_into(command: Sequence[str], lines: Sequence[str], seconds: float = 30) -> str:
    """Run `command` on a new terminal, type `lines` at its prompts, and return all that was shown.

    Waits for output before each line, as a person would. TimeoutError when the program does not end.
    """
    ours, theirs = pty.openpty()
    try:
        with subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        ) as process:
            os.close(theirs)
            try:
                return _talk(ours, list(lines), time.monotonic() + seconds)
            finally:
                process.kill()
    finally:
        os.close(ours)


def _talk(terminal: int, lines: list[str], deadline: float) -> str:
    shown = b""
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 0.3)[0]:
            # Silence after some output: a prompt.
            if lines and shown:
                os.write(terminal, f"{lines.pop(0)}\n".encode())
            continue
        try:
            shown += os.read(terminal, 65536)
        except OSError:  # EIO: the last program has closed the other end
            return shown.decode("utf-8", "replace")
    raise TimeoutError(f"the program did not end; it showed: {shown[-500:]!r}")
