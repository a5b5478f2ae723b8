#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Root of the host moves a shell into the container's cgroup, in each hierarchy that takes it, and runs a command.
# Given: CONTAINER, INIT_PID and ENTER, as controller/emulation/script.py says. Needs root on the daemon's host.
set -eu
: "${CONTAINER:?the container to enter}"

find /sys/fs/cgroup -type d -name "*$CONTAINER*" | (
    while read -r folder; do
        { sh -c 'echo $PPID >"$1/cgroup.procs"' move "$folder"; } 2>/dev/null || true
    done
    sh -c 'cd /; pwd'
)
