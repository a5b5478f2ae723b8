#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A shell is told not to write a history.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" sh -c "unset HISTFILE; id"
