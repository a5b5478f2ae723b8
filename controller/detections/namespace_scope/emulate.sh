#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A second container, with the labels of a pod, is started beside the first and entered; it is removed with it.
# Knob NamespaceScope: nsentry-emulation-nowhere
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
# Runtimes: docker podman
set -eu
: "${CONTAINER:?the container to start another beside}"
CLIENT=${ENTER:-docker exec}
CLIENT=${CLIENT% exec}

name=$($CLIENT inspect --format '{{.Name}}' "$CONTAINER")
name=${name#/}
image=$($CLIENT inspect --format '{{.Image}}' "$CONTAINER")
label=$($CLIENT inspect --format '{{index .Config.Labels "nsentry.emulation"}}' "$CONTAINER")
$CLIENT run --detach --rm --network=none --user=65534:65534 --name="$name-pod" --label="nsentry.emulation=$label" \
    --label=io.kubernetes.pod.name="$name-pod" --label=io.kubernetes.pod.namespace=nsentry-emulation \
    --label=io.kubernetes.container.name=app --entrypoint=sleep "$image" 120
sleep 3
$CLIENT exec "$name-pod" id
