#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One visit is approved, which makes it the usual one of that image; the next runs a program that it did not run.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says, and a controller that this machine can write to.
set -eu
: "${CONTAINER:?the container to enter}"
: "${ENTER:=docker exec}"

# shellcheck disable=SC2086
$ENTER "$CONTAINER" /bin/true
tries=0
until said=$(
    session=$(nsentry-controller sessions list --container "$CONTAINER" --json | sed -n 's/^{"id": *"\([^"]*\)".*/\1/p' | tail -1)
    nsentry-controller baseline approve "${session:-none}" 2>/dev/null
); do
    tries=$((tries + 1))
    [ "$tries" -lt 12 ] || { echo "no session in $CONTAINER was seen: is the sensor watching?" >&2; exit 1; }
    sleep 0.5
done
# A pod has two: "image IMAGE, workload NAMESPACE/APP/CONTAINER".
printf '%s\n' "${said#* new traits in }" | sed 's/, /\n/g' | while read -r subject; do
    nsentry-controller baseline ready "$subject" >/dev/null
done
# shellcheck disable=SC2086
$ENTER "$CONTAINER" /bin/sh -c 'cp /bin/busybox /tmp/busybox-tool && /tmp/busybox-tool true'
