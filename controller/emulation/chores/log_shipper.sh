# SPDX-License-Identifier: Apache-2.0
# A shipper reads the containers' logs from the host's folder, and another follows one by the runtime.
# Exception risky_start: severity <= "medium" and reason contains "reads the host's"
# Runtimes: docker podman
# Given: CONTAINER and ENTER, as controller/emulation/script.py says. The shipper carries the label of the run.
set -eu
CLIENT=${ENTER:-docker exec}
CLIENT=${CLIENT% exec}
: "${CONTAINER:?the container to start another beside}"

name=$($CLIENT inspect --format '{{.Name}}' "$CONTAINER")
image=$($CLIENT inspect --format '{{.Image}}' "$CONTAINER")
$CLIENT run --rm --network=none --name="${name#/}-shipper" --label="nsentry.emulation=${name##*-}" \
    --volume=/var:/host/var:ro --entrypoint=sh "$image" -c 'find /host/var/log -maxdepth 1 -name "*.log" | head -5; sleep 1'
timeout 1 $CLIENT logs --follow "$CONTAINER" || true
