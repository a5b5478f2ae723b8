#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A command is run with a library to be loaded first that is not there.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" sh -c "LD_PRELOAD=/tmp/nse.so id"
