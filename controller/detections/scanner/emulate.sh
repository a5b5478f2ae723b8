#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Five ports of the container's own loopback are tried in a loop.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" sh -c "for port in 21 22 23 80 443; do nc -z -w 1 127.0.0.1 \$port; done" || true
