#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A visitor looks round, then reaches for the password hashes.
# Given: CONTAINER, INIT_PID and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}"
: "${ENTER:=docker exec}"

$ENTER "$CONTAINER" id
# May be refused: that it was tried is what counts.
$ENTER "$CONTAINER" sh -c 'uname -a; cat /proc/1/cgroup; cat /etc/shadow' || true
