#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The image's baseline is told that it has learned enough; a second container then runs a program of its own, at a
# path that none of that image ever ran. Given: CONTAINER, and DOCKER_HOST where the daemon is not at its usual
# place. The second carries the label of the run, by which it is removed with the first.
set -eu
: "${CONTAINER:?the container to start another beside}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

name=$(docker inspect --format '{{.Name}}' "$CONTAINER")
image=$(docker inspect --format '{{.Config.Image}}' "$CONTAINER")
label=$(docker inspect --format '{{index .Config.Labels "nsentry.emulation"}}' "$CONTAINER")
start() {
    docker run --detach --rm --network=none --user=65534:65534 --name="${name#/}-$1" --tmpfs=/tmp:exec \
        --label="nsentry.emulation=$label" --entrypoint=sh "$image" -c "$2"
}
start 2 'sleep 1; /bin/busybox ls / >/dev/null; sleep 60'
tries=0
until nsentry-controller baseline ready "image $image" 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 40 ] || { echo "no baseline of $image within 20 s: is the sensor watching?" >&2; exit 1; }
    sleep 0.5
done
start 3 "sleep 2; /bin/busybox cp /bin/busybox /tmp/busybox-$label && /tmp/busybox-$label sleep 30"
