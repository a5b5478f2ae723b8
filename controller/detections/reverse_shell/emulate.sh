#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A visitor has netcat listen on the container's loopback, and another gives a shell to it; nobody types anything.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" sh -c 'nc -l -p 4444 </dev/null & sleep 1; nc 127.0.0.1 4444 -e /bin/sh; wait'
