#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Root of the host attaches to the container's first process with ptrace (PTRACE_SEIZE), and lets go again.
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
