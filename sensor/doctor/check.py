# SPDX-License-Identifier: Apache-2.0
"""The outcome of a check, and what the outcomes of many mean for the exit code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, Self

from sensor.fault import ExitCode, Fault

_WORST: Final = (ExitCode.PRIVILEGE, ExitCode.CONFIG, ExitCode.UNREACHABLE, ExitCode.FAILURE)
"""The code of the first of these wins: without privilege little else can be judged."""


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, how it stands, and the command that mends it."""

    name: str
    state: Literal["ok", "warn", "fail"]
    said: str
    fix: str = ""
    exit_code: ExitCode = ExitCode.OK

    @classmethod
    def ok(cls, name: str, said: str) -> Self:
        """All is well."""
        return cls(name, "ok", said)

    @classmethod
    def warn(cls, name: str, said: str, fix: str) -> Self:
        """The sensor runs all the same, and sees or does less."""
        return cls(name, "warn", said, fix)

    @classmethod
    def fail(cls, name: str, said: str, fix: str, exit_code: ExitCode = ExitCode.CONFIG) -> Self:
        """The sensor cannot do its work."""
        return cls(name, "fail", said, fix, exit_code)

    @classmethod
    def of_fault(cls, name: str, fault: Fault) -> Self:
        """The check that a fault answers."""
        return cls(name, "fail", fault.sentence, fault.fix, fault.exit_code)

    def as_warning(self) -> Check:
        """The same, where something else can stand in for it."""
        return self if self.state == "ok" else Check(self.name, "warn", self.said, self.fix)


def exit_code(checks: Iterable[Check]) -> ExitCode:
    """The code of the worst that failed; warnings do not count."""
    failed = {check.exit_code for check in checks if check.state == "fail"}
    return next((code for code in _WORST if code in failed), ExitCode.OK)
