#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Root of the host makes the container's files its root directory, and runs the container's shell there.
# Given: CONTAINER, INIT_PID and ENTER, as controller/emulation/script.py says. Needs root on the daemon's host.
set -eu
: "${CONTAINER:?the container to enter}"
: "${INIT_PID:=$(docker inspect --format '{{.State.Pid}}' "$CONTAINER")}"

chroot "/proc/$INIT_PID/root" /bin/sh -c 'cd /; pwd'
