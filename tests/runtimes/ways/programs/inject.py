# SPDX-License-Identifier: Apache-2.0
"""inject.py attach|seize|write|read|mem|mem-read|take PID: reach into another process, and change nothing in it.

attach and seize trace it for a moment; write puts a byte of its stack where it is, read only reads it; mem and
mem-read do so by its file in /proc; take has a copy of its standard output given to itself.
"""

import ctypes
import os
import sys
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
LIBC.ptrace.restype = ctypes.c_long
ATTACH, DETACH, SEIZE = 16, 17, 0x4206


class Piece(ctypes.Structure):
    """struct iovec."""

    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def trace(request, pid):
    checked(LIBC.ptrace(request, pid, None, None))
    if request == ATTACH:
        os.waitpid(pid, 0x40000000)
        checked(LIBC.ptrace(DETACH, pid, None, None))


def top_of_stack(pid):
    (stack,) = (
        line for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if line.endswith("[stack]")
    )
    return int(stack.split("-")[1].split()[0], 16)


def by_file(pid, mode):
    with Path(f"/proc/{pid}/mem").open(mode, buffering=0) as memory:
        memory.seek(top_of_stack(pid) - 8)
        kept = memory.read(8)
        if mode == "r+b":
            memory.seek(-8, os.SEEK_CUR)
            assert memory.write(kept) == 8


def take(pid):
    given = LIBC.syscall(438, os.pidfd_open(pid), 1, 0)
    checked(given)
    os.close(given)


def copy(call, pid, buffer):
    top = top_of_stack(pid)
    ours = Piece(ctypes.cast(buffer, ctypes.c_void_p), 8)
    theirs = Piece(ctypes.c_void_p(top - 8), 8)
    checked(call(pid, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0))


how, pid = sys.argv[1], int(sys.argv[2])
if how in {"attach", "seize"}:
    trace({"attach": ATTACH, "seize": SEIZE}[how], pid)
elif how in {"mem", "mem-read"}:
    by_file(pid, {"mem": "r+b", "mem-read": "rb"}[how])
elif how == "take":
    take(pid)
else:
    buffer = ctypes.create_string_buffer(8)
    copy(LIBC.process_vm_readv, pid, buffer)
    if how == "write":
        copy(LIBC.process_vm_writev, pid, buffer)
