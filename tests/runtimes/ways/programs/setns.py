# SPDX-License-Identifier: Apache-2.0
"""setns.py [--any|--pidfd|--thread] PID KIND,KIND... COMMAND: join the namespaces in this order, then run.

--any names no type, --pidfd joins all of them by one call, --thread does it in a thread whose process stays.
"""

import ctypes
import os
import subprocess
import sys
import threading

LIBC = ctypes.CDLL(None, use_errno=True)
FLAGS = {"uts": 1 << 26, "ipc": 1 << 27, "user": 1 << 28, "pid": 1 << 29, "net": 1 << 30, "mnt": 1 << 17}
CLONE_FS = 0x200


def checked(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def join(how, pid, kinds):
    if how == "--thread":
        # Threads share their root and working directory, which a mount namespace brings along.
        checked(LIBC.unshare(CLONE_FS))
    if how == "--pidfd":
        flags = 0
        for kind in kinds:
            flags |= FLAGS[kind]
        checked(LIBC.setns(os.pidfd_open(pid), flags))
        return
    handles = [os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY) for kind in kinds]
    for kind, handle in zip(kinds, handles, strict=True):
        checked(LIBC.setns(handle, 0 if how == "--any" else FLAGS[kind]))


def enter():
    join(how, int(pid), kinds.split(","))
    codes.append(subprocess.call(command))


codes = []
how = sys.argv.pop(1) if sys.argv[1].startswith("--") else ""
pid, kinds, *command = sys.argv[1:]
if how == "--thread":
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
else:
    enter()
sys.exit(codes[0] if codes else 1)
