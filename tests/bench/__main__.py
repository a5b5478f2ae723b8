# SPDX-License-Identifier: Apache-2.0
"""`make bench`: every benchmark against a stack of its own, or those that are named."""

from __future__ import annotations

import platform
import shutil
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.bench import cost, execs, join, latency, memory, throughput
from vagrant.local import host
from vagrant.local.service import LabError
from vagrant.local.stack import Stack

BENCHMARKS = {
    "memory": memory,
    "latency": latency,
    "throughput": throughput,
    "cost": cost,
    "execs": execs,
    "join": join,
}
ROOT = Path("var/bench")
PORT = 8445


def main(names: list[str]) -> int:
    """Run the named benchmarks, all by default; 0, 1 when one could not be run, 2 usage, 130 interrupted."""
    if unknown := sorted(set(names) - set(BENCHMARKS)):
        print(f"no benchmark {', '.join(unknown)}: there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        host.require_root()
        print(f"kernel {platform.release()}, {platform.machine()}, Python {platform.python_version()}")
        for name in names or BENCHMARKS:
            with ExitStack() as undo:
                undo.enter_context(host.tracefs())
                undo.enter_context(host.docker_cgroups())
                undo.callback(shutil.rmtree, ROOT, ignore_errors=True)
                stack = Stack(ROOT, PORT)
                stack.start_controller(undo)
                for line in BENCHMARKS[name].measure(stack):
                    print(line, flush=True)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", flush=True)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
