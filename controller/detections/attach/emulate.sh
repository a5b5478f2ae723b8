#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Attaches to the container's first process for a second, and leaves without a signal to it.
# Given: CONTAINER, and DOCKER_HOST where the daemon is not at its usual place.
set -eu
: "${CONTAINER:?the container to attach to}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

# 137: it was still attached when its time was up, as it should be
timeout --signal=KILL 2 docker attach --no-stdin --sig-proxy=false "$CONTAINER" || [ $? -eq 137 ]
