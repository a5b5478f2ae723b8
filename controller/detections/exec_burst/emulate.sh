#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A script goes into the same container twelve times: over the threshold that is set by default, 10/10m.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
    $ENTER "$CONTAINER" /bin/true
done
