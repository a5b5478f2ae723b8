#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A second container is started beside the first, with the daemon's socket and this machine's docker client, and
# asks the daemon for its version: nothing is made by that.
# Given: CONTAINER, and DOCKER_HOST, a unix socket, where the daemon is not at its usual place. The second container
# carries the label of the run, by which it is removed with the first.
set -eu
: "${CONTAINER:?the container to start another beside}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

client=$(readlink -f "$(command -v docker)")
name=$(docker inspect --format '{{.Name}}' "$CONTAINER")
image=$(docker inspect --format '{{.Image}}' "$CONTAINER")
label=$(docker inspect --format '{{index .Config.Labels "nsentry.emulation"}}' "$CONTAINER")

set -- --volume="${DOCKER_HOST#unix://}:/any/name.sock:ro" --volume="$client:/docker:ro"
# What the client is linked with, for the image has none of it.
for library in $(ldd "$client" 2>/dev/null | grep -o '/[^ ]*' || true); do
    set -- "$@" --volume="$(readlink -f "$library"):$library:ro"
done
docker run --detach --rm --network=none --user=0 --name="${name#/}-2" --label="nsentry.emulation=$label" \
    "$@" --entrypoint=/bin/sh "$image" -c 'sleep 1; /docker --host unix:///any/name.sock version; sleep 60'
