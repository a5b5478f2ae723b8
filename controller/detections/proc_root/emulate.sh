#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Root of the host makes the container's files its root directory, and runs the container's shell there.
# Given: CONTAINER, and DOCKER_HOST where the daemon is not at its usual place. Needs root on the daemon's host.
set -eu
: "${CONTAINER:?the container to enter}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

chroot "/proc/$(docker inspect --format '{{.State.Pid}}' "$CONTAINER")/root" /bin/sh -c 'cd /; pwd'
