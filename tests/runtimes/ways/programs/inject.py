# SPDX-License-Identifier: Apache-2.0
"""inject.py attach|seize|write|read PID: reach into another process, and change nothing in it.

attach and seize trace it for a moment; write puts a byte of its stack where it is, read only reads it.
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


def copy(call, pid, buffer):
    (stack,) = (
        line for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if line.endswith("[stack]")
    )
    top = int(stack.split("-")[1].split()[0], 16)
    ours = Piece(ctypes.cast(buffer, ctypes.c_void_p), 8)
    theirs = Piece(ctypes.c_void_p(top - 8), 8)
    checked(call(pid, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0))


how, pid = sys.argv[1], int(sys.argv[2])
if how in {"attach", "seize"}:
    trace({"attach": ATTACH, "seize": SEIZE}[how], pid)
else:
    buffer = ctypes.create_string_buffer(8)
    copy(LIBC.process_vm_readv, pid, buffer)
    if how == "write":
        copy(LIBC.process_vm_writev, pid, buffer)
