#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An account with root's number is asked for, by a user who may make none.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" sh -c "adduser -D -H -u 0 nse" || true
