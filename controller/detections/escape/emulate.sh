#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A process in the container joins the host's mount namespace by a descriptor that leaked in (fd 9). The container
# has no rights to get one itself, so root of the host brings it along.
# Given: CONTAINER, INIT_PID and ENTER, as controller/emulation/script.py says. Needs root on the daemon's host.
set -eu
: "${CONTAINER:?the container to get out of}"
: "${INIT_PID:=$(docker inspect --format '{{.State.Pid}}' "$CONTAINER")}"

nsenter --target "$INIT_PID" --all \
    /bin/sh -c 'nsenter --mount=/proc/self/fd/9 /bin/sh -c "cd /; pwd"' 9</proc/self/ns/mnt
