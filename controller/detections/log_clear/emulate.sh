#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A log that is not there is emptied and deleted.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" sh -c "rm -f /var/log/nsentry/wtmp"
