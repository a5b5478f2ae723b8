# SPDX-License-Identifier: Apache-2.0
# A certificate is renewed: copied into the running container, and its server told to read it again.
# Exception files_copied: kind == "record"
# Runtimes: docker podman
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
CLIENT=${ENTER:-docker exec}
CLIENT=${CLIENT% exec}
: "${CONTAINER:?the container of the server}"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
echo certificate >"$folder/server.pem"
$CLIENT cp "$folder/server.pem" "$CONTAINER:/tmp/server.pem"
$CLIENT exec "$CONTAINER" test -s /tmp/server.pem
$CLIENT exec "$CONTAINER" kill -HUP 1
