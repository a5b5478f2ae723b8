#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A line for what runs at the container's start is written, where its user may not write.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" sh -c "echo true >>/etc/rc.local" || true
