#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An agent is told to end that does not run in the container.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" sh -c "killall falco" || true
