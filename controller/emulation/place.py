# SPDX-License-Identifier: Apache-2.0
"""Where an emulation runs: the commands of this host, or of another one that a command such as ssh leads to."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from controller.errors import OperationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COMMAND_S: Final = 60.0
_SAID: Final = 500
"""Characters of what a command that failed has said: its end tells."""


class EmulationError(OperationError):
    """The emulation could not be carried out; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """The host itself, or the one that `via` leads to: ("ssh", "root@node1"), which is given a shell's line."""

    via: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    """What every command gets besides."""

    def run(self, command: Sequence[str], *, stdin: bytes | None = None, timeout: float = COMMAND_S) -> str:
        """What `command` printed. EmulationError with what it said when it failed, is missing, or takes too long."""
        name = command[0]
        try:
            done = subprocess.run(
                self._line(command),
                input=stdin or b"",
                capture_output=True,
                timeout=timeout,
                check=False,
                cwd="/",
                env={**os.environ, **self.environment},
            )
        except FileNotFoundError as error:
            missing = self.via[0] if self.via else name
            raise EmulationError(f"there is no {missing} here: install it, or name another client") from error
        except subprocess.TimeoutExpired as error:
            raise EmulationError(f"{name} took longer than {timeout:.0f} s") from error
        if done.returncode != 0:
            said = (done.stderr or done.stdout).decode(errors="replace").strip()[-_SAID:]
            raise EmulationError(f"{' '.join(command[:2])} failed ({done.returncode}): {said}")
        return done.stdout.decode(errors="replace").strip()

    def _line(self, command: Sequence[str]) -> list[str]:
        if not self.via:
            return list(command)
        given = [f"{name}={value}" for name, value in self.environment.items()]
        return [*self.via, shlex.join(["env", *given, *command] if given else command)]
