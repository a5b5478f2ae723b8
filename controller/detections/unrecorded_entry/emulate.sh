#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Root of the host goes past the runtime's daemon: the container is entered, and the daemon's log has nothing.
# Given: CONTAINER, INIT_PID and ENTER, as controller/emulation/script.py says. Needs root on the daemon's host.
set -eu
: "${CONTAINER:?the container to enter}"
: "${INIT_PID:=$(docker inspect --format '{{.State.Pid}}' "$CONTAINER")}"

nsenter --target "$INIT_PID" --all /bin/sh -c 'cd /; id'
