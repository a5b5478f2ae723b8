#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A key that is none is written below the container's own /tmp, and removed.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" sh -c "mkdir -p /tmp/.ssh; echo none >>/tmp/.ssh/authorized_keys; rm -r /tmp/.ssh"
