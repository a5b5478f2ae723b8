#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A second container is started beside the first, with the host's root folder to be read and the right to trace.
# Given: CONTAINER, and DOCKER_HOST where the daemon is not at its usual place. It carries the label of the run,
# by which it is removed with the first.
set -eu
: "${CONTAINER:?the container to start another beside}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

name=$(docker inspect --format '{{.Name}}' "$CONTAINER")
image=$(docker inspect --format '{{.Image}}' "$CONTAINER")
label=$(docker inspect --format '{{index .Config.Labels "nsentry.emulation"}}' "$CONTAINER")
docker run --detach --rm --network=none --user=65534:65534 --name="${name#/}-2" --label="nsentry.emulation=$label" \
    --cap-add=SYS_PTRACE --volume=/:/host:ro --entrypoint=sleep "$image" 60
