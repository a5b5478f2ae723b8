#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A program is copied to a folder whose name is dots, run there, and removed.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" sh -c "mkdir -p /tmp/...; cp /bin/true /tmp/.../true; /tmp/.../true true; rm -r /tmp/..." || true
