#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A tool is fetched into the container, from a port of its own loopback that nobody listens on.
# Given: CONTAINER, INIT_PID and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}"
: "${ENTER:=docker exec}"

# It fails, as it must: what counts is that it was run.
$ENTER "$CONTAINER" wget -T 1 -O /dev/null http://127.0.0.1:9/tool || true
