#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Root of the host attaches to the container's first process with ptrace (PTRACE_SEIZE), and lets go again; writes a
# byte of its stack where it is by /proc/PID/mem; and has its standard output given by pidfd_getfd.
# Given: CONTAINER, INIT_PID and ENTER, as controller/emulation/script.py says. Needs root on the daemon's host, and
# python3.
set -eu
: "${CONTAINER:?the container to reach into}"
: "${INIT_PID:=$(docker inspect --format '{{.State.Pid}}' "$CONTAINER")}"

python3 -c '
import ctypes, sys
ptrace = ctypes.CDLL(None, use_errno=True).ptrace
ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
sys.exit(ptrace(0x4206, int(sys.argv[1]), None, None) and "PTRACE_SEIZE was refused")
' "$INIT_PID"

python3 -c '
import sys
with open(f"/proc/{sys.argv[1]}/maps") as maps:
    (stack,) = (line for line in maps if line.rstrip().endswith("[stack]"))
at = int(stack.split("-")[1].split()[0], 16) - 8
with open(f"/proc/{sys.argv[1]}/mem", "r+b", buffering=0) as memory:
    memory.seek(at)
    kept = memory.read(1)
    memory.seek(at)
    memory.write(kept)
' "$INIT_PID"

python3 -c '
import ctypes, os, sys
syscall = ctypes.CDLL(None, use_errno=True).syscall
sys.exit(syscall(438, os.pidfd_open(int(sys.argv[1])), 1, 0) < 0 and "pidfd_getfd was refused")
' "$INIT_PID"
