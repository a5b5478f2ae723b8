#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A second container, with the labels of a pod, is started beside the first and entered. Where NamespaceScope is not
# set, it is for the time of this script; the audit log says so. The second is removed with the first.
# Given: CONTAINER, and DOCKER_HOST where the daemon is not at its usual place.
set -eu
: "${CONTAINER:?the container to start another beside}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

if nsentry-controller knobs list | grep -q '^NamespaceScope  *not set'; then
    trap 'sleep 5; nsentry-controller knobs unset NamespaceScope' EXIT
    nsentry-controller knobs set NamespaceScope nsentry-emulation-nowhere
fi
name=$(docker inspect --format '{{.Name}}' "$CONTAINER")
name=${name#/}
image=$(docker inspect --format '{{.Image}}' "$CONTAINER")
label=$(docker inspect --format '{{index .Config.Labels "nsentry.emulation"}}' "$CONTAINER")
docker run --detach --rm --network=none --user=65534:65534 --name="$name-pod" --label="nsentry.emulation=$label" \
    --label=io.kubernetes.pod.name="$name-pod" --label=io.kubernetes.pod.namespace=nsentry-emulation \
    --label=io.kubernetes.container.name=app --entrypoint=sleep "$image" 120
sleep 3
docker exec "$name-pod" id
