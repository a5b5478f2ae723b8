# SPDX-License-Identifier: Apache-2.0
"""Make a child in another cgroup at once (clone3 with CLONE_INTO_CGROUP), which executes a program.

clone_into.py FOLDER COMMAND...
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys

CLONE_INTO_CGROUP = 0x200000000
SYS_CLONE3 = 435


def main() -> int:
    """Run it; the child's exit code."""
    folder, *command = sys.argv[1:]
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    # struct clone_args: flags, four of no use here, exit_signal, five more, cgroup.
    size = 11 * 8
    arguments = bytearray(
        struct.pack("=11Q", CLONE_INTO_CGROUP, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, handle)
    )
    buffer = (ctypes.c_char * size).from_buffer(arguments)
    libc = ctypes.CDLL(None, use_errno=True)
    pid = libc.syscall(SYS_CLONE3, ctypes.byref(buffer), size)
    if pid < 0:
        raise OSError(ctypes.get_errno(), "clone3")
    if pid == 0:
        os.execvp(command[0], command)  # noqa: S606 - it is what this is for
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
