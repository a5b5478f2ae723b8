#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A second container is started beside the first, with the host's root folder to be read and the right to trace.
# Given: CONTAINER, INIT_PID and ENTER, as controller/emulation/script.py says. It carries the label of the run,
# by which it is removed with the first.
# Runtimes: docker podman
set -eu
CLIENT=${ENTER:-docker exec}
CLIENT=${CLIENT% exec}
: "${CONTAINER:?the container to start another beside}"

name=$($CLIENT inspect --format '{{.Name}}' "$CONTAINER")
image=$($CLIENT inspect --format '{{.Image}}' "$CONTAINER")
label=$($CLIENT inspect --format '{{index .Config.Labels "nsentry.emulation"}}' "$CONTAINER")
$CLIENT run --detach --rm --network=none --user=65534:65534 --name="${name#/}-2" --label="nsentry.emulation=$label" \
    --cap-add=SYS_PTRACE --volume=/:/host:ro --entrypoint=sleep "$image" 60
