#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A line is written to a crontab that the container's user may not write.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" sh -c "echo \"0 0 1 1 * true\" >>/var/spool/cron/crontabs/root" || true
