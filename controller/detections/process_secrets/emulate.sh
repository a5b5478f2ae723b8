#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The environment of all processes of the container is read, as far as its user may.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" sh -c "cat /proc/[0-9]*/environ >/dev/null" || true
