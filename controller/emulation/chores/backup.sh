# SPDX-License-Identifier: Apache-2.0
# A backup dumps what the container has into a file on the host: tar by exec, its output taken outside.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to save}" "${ENTER:=docker exec}"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
$ENTER "$CONTAINER" tar -cf - /etc/passwd >"$folder/etc.tar"
test -s "$folder/etc.tar"
