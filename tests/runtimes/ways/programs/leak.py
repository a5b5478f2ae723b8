# SPDX-License-Identifier: Apache-2.0
"""leak.py PID COMMAND...: a runtime that joins a container and forgets a folder of the host as working directory.

What CVE-2024-21626 came to: the descriptor of a host's folder, and `--workdir /proc/self/fd/N`.
"""

import ctypes
import os
import sys

pid, *command = sys.argv[1:]
LIBC = ctypes.CDLL(None, use_errno=True)
leaked = os.open("/etc", os.O_RDONLY)
namespaces = [os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY) for kind in ("uts", "mnt")]
for each in namespaces:
    if LIBC.setns(each, 0):
        raise OSError(ctypes.get_errno(), "setns")
os.fchdir(leaked)
os.execv(command[0], command)  # noqa: S606 - it is what this is for
