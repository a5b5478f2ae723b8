# SPDX-License-Identifier: Apache-2.0
"""How the sensor says that it cannot go on: a sentence for a person, the command that helps, an exit code."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of the command line; 69, 77 and 78 are those of sysexits(3)."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    UNREACHABLE = 69
    PRIVILEGE = 77
    CONFIG = 78


class Fault(Exception):  # noqa: N818 - the word the whole sensor uses for it
    """Something outside the program has to change before it can go on.

    `fix` is what to do about it, a command where there is one; empty when nothing on this host helps.
    """

    def __init__(self, sentence: str, *, exit_code: ExitCode, fix: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.exit_code = exit_code
        self.fix = fix
