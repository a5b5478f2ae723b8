#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A copy of a program is opened, deleted, and run by the descriptor that still holds it.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

# What the program then says of its new name does not matter: it was run.
$ENTER "$CONTAINER" sh -c "cp /bin/uname /tmp/nse; exec 5</tmp/nse; rm /tmp/nse; /proc/self/fd/5 -a" || true
