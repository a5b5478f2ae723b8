#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A second container runs something of itself, so that the image's baseline is known, and is told that it has learned
# enough; then a visitor of the first connects to an address that none of that image ever went to. It is one of the
# documentation's (RFC 5737), put on the container's own loopback: it goes with the container's network.
# Given: CONTAINER, and DOCKER_HOST where the daemon is not at its usual place. Needs root on the daemon's host, and ip.
# The second container carries the label of the run, by which it is removed with the first.
set -eu
: "${CONTAINER:?the container to enter}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

name=$(docker inspect --format '{{.Name}}' "$CONTAINER")
image=$(docker inspect --format '{{.Config.Image}}' "$CONTAINER")
label=$(docker inspect --format '{{index .Config.Labels "nsentry.emulation"}}' "$CONTAINER")
docker run --detach --rm --network=none --user=65534:65534 --name="${name#/}-2" --label="nsentry.emulation=$label" \
    --entrypoint=sh "$image" -c 'sleep 1; /bin/busybox ls / >/dev/null; sleep 60'
tries=0
until nsentry-controller baseline ready "image $image" 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 40 ] || { echo "no baseline of $image within 20 s: is the sensor watching?" >&2; exit 1; }
    sleep 0.5
done
nsenter --target "$(docker inspect --format '{{.State.Pid}}' "$CONTAINER")" --net ip address add 192.0.2.9/32 dev lo
docker exec "$CONTAINER" nc -w 2 192.0.2.9 4444 </dev/null || true
