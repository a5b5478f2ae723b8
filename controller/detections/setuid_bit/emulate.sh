#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A copy of true is given the setuid bit of its own, unprivileged user, and removed.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" sh -c "cp /bin/true /tmp/nse; chmod u+s /tmp/nse; rm /tmp/nse"
