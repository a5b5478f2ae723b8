#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A file with the name of a cgroup's release agent is written, in a folder of the container.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" sh -c "mkdir -p /tmp/nse; echo /bin/true >/tmp/nse/release_agent; rm -r /tmp/nse"
