#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The container's loopback gets the address of the metadata service, so that nobody real is asked; then a visitor
# asks it. The address goes with the container's network.
# Given: CONTAINER, INIT_PID and ENTER, as controller/emulation/script.py says. Needs root on the daemon's host, and ip.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}" "${INIT_PID:?its first process}"

nsenter --target "$INIT_PID" --net ip address add 169.254.169.254/32 dev lo
$ENTER "$CONTAINER" nc -w 2 169.254.169.254 80 </dev/null || true
