#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The namespaces of process 1 are asked for, which in the container is its own sleep, and refused.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" sh -c "nsenter -t 1 -m -n id" || true
