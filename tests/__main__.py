# SPDX-License-Identifier: Apache-2.0
"""`make test`: all tests, the emulated kernels beside the others.

They take a third of the whole, mostly on one processor. What they print is shown when the others have ended.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

KERNELS = "tests/vm"
PYTEST = (sys.executable, "-m", "pytest")


def main() -> int:
    """The exit code of the part that failed, of the other tests first; 130 when it was interrupted."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    log = Path("build/vm.log")
    log.parent.mkdir(exist_ok=True)
    with log.open("w") as output:
        kernels = subprocess.Popen([*PYTEST, KERNELS], stdout=output, stderr=subprocess.STDOUT)
        try:
            others = subprocess.run([*PYTEST, f"--ignore={KERNELS}"], check=False).returncode
            code = others or kernels.wait()
        except KeyboardInterrupt:
            return 130
        finally:
            if kernels.poll() is None:
                kernels.send_signal(signal.SIGINT)
                kernels.wait()
            print(f"\n{KERNELS}:\n{log.read_text()}", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
