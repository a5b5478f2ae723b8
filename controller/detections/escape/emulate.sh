#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A container that sees the host's processes, and may look into them, joins the mount namespace of one of them:
# this script's own, for some hosts close the namespaces of their init even to root.
# Given: CONTAINER, whose image is used, and DOCKER_HOST where the daemon is not at its usual place.
set -eu
: "${CONTAINER:?a container whose image has a shell and nsenter}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

exec docker run --rm --pid host --cap-add SYS_ADMIN --cap-add SYS_PTRACE --security-opt seccomp=unconfined \
    --security-opt apparmor=unconfined "$(docker inspect --format '{{.Image}}' "$CONTAINER")" \
    nsenter -t "$$" -m /bin/sh -c 'cd /; pwd'
