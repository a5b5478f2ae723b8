# SPDX-License-Identifier: Apache-2.0
"""`python -m vagrant.local up|demo`: what the Makefile calls.

Exit codes: 0 ended as asked, 1 something did not work (the last line says what), 2 usage.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vagrant.local import host
from vagrant.local.demo import demo
from vagrant.local.service import LabError
from vagrant.local.up import up

if TYPE_CHECKING:
    from types import FrameType

COMMANDS = {"up": up, "demo": demo}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Stopped(BaseException):
    """One of SIGNALS arrived: what was started is stopped on the way out."""


def _stop(_number: int, _frame: FrameType | None) -> None:
    # Once is enough: a second Ctrl-C must not cut the clean-up short, every step of which ends by itself.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise _Stopped


def main(arguments: list[str]) -> int:
    """Run a command; its exit code."""
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        print(f"usage: python -m vagrant.local {'|'.join(COMMANDS)}", file=sys.stderr)
        return 2
    os.chdir(Path(__file__).parents[2])
    for number in SIGNALS:
        signal.signal(number, _stop)
    try:
        host.require_root()
        with host.foreground():
            return COMMANDS[arguments[0]]()
    except _Stopped:
        print("\nStopped.", flush=True)
        # An interrupted demo has shown nothing; `up` has done all that was asked.
        return 0 if arguments[0] == "up" else 130
    except LabError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
