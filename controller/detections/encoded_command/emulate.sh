#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The command id is decoded from base64 into a shell.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" sh -c "echo aWQK | base64 -d | sh"
