#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A module that is not there is to be loaded, by a user who may not.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" sh -c "insmod /tmp/nsentry-emulation.ko" || true
