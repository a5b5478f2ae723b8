#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A tool is fetched from a port that nobody listens on; a file is put in its place, and run.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" sh -c "cd /tmp; wget -T 1 -O /tmp/nse-tool http://127.0.0.1:9/nse-tool; cp /bin/true /tmp/nse-tool
chmod 755 /tmp/nse-tool; /tmp/nse-tool true; rm -f /tmp/nse-tool" || true
