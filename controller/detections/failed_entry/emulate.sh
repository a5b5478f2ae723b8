#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A command that does not exist is executed: the namespaces are joined, and nothing runs.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" /nsentry/no/such/command || true
