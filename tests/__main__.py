# SPDX-License-Identifier: Apache-2.0
"""`make test`: all tests, the emulated kernels beside the others.

The kernels take a third of the whole, mostly on one processor. What they print is shown when the others have ended.

Thousands of tests drive real daemons and kernels on a machine that others use too. Of few that fail each is tried a
second time, alone, when all have ended: one that fails again fails the run, one that passes is named as unsteady.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

KERNELS = "tests/vm"
PYTEST = (sys.executable, "-m", "pytest")
SLOWEST = ("--durations=25", "--durations-min=5")
FAILED = 1
"""pytest's exit code when tests failed; a test that was left out in CI has another (tests/conftest.py)."""
TRIED_AGAIN_AT_MOST = 5
"""More than that is no accident of one moment."""


@dataclass(frozen=True)
class Part:
    """Some of the tests, as pytest takes them, and the folder in which it notes which of them failed."""

    arguments: Sequence[str]
    cache: Path

    @property
    def command(self) -> list[str]:
        """What runs them."""
        return [*PYTEST, *self.arguments, "-o", f"cache_dir={self.cache}"]

    def forget(self) -> None:
        """What an earlier run noted is not of this one."""
        self._noted.unlink(missing_ok=True)

    def failed(self) -> list[str]:
        """The tests that failed in the last run, as pytest names them."""
        try:
            return sorted(json.loads(self._noted.read_text()))
        except FileNotFoundError:
            return []

    def again(self, code: int) -> int:
        """The exit code of the part, whose run gave `code`, after what failed had a second chance."""
        failed = self.failed()
        if code != FAILED or not 0 < len(failed) <= TRIED_AGAIN_AT_MOST:
            return code
        print(f"\n{len(failed)} failed, tried a second time:", flush=True)
        code = subprocess.run([*self.command, "--last-failed"], check=False).returncode
        for name in sorted(set(failed) - set(self.failed())):
            print(f"UNSTEADY: failed, then passed: {name}", flush=True)
        return code

    @property
    def _noted(self) -> Path:
        return self.cache / "v/cache/lastfailed"


def main() -> int:
    """The exit code of the part that failed, of the other tests first; 130 when it was interrupted."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    build = Path("build").resolve()
    build.mkdir(exist_ok=True)
    kernels = Part([KERNELS], build / "pytest-kernels")
    others = Part([f"--ignore={KERNELS}", *SLOWEST], build / "pytest-others")
    for part in (kernels, others):
        part.forget()
    try:
        codes = _both(kernels, others, build / "vm.log")
        codes = [part.again(code) for part, code in zip((others, kernels), codes, strict=True)]
    except KeyboardInterrupt:
        return 130
    return next(filter(None, codes), 0)


def _both(kernels: Part, others: Part, log: Path) -> tuple[int, int]:
    with log.open("w") as output:
        emulated = subprocess.Popen(kernels.command, stdout=output, stderr=subprocess.STDOUT)
        try:
            return subprocess.run(others.command, check=False).returncode, emulated.wait()
        finally:
            if emulated.poll() is None:
                emulated.send_signal(signal.SIGINT)
                emulated.wait()
            print(f"\n{KERNELS}:\n{log.read_text()}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
