#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A visitor has netcat listen for a second; the container has no network that anybody could come by.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" timeout 1 nc -l -p 4444 </dev/null || true
