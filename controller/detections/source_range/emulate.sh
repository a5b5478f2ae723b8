#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Somebody comes by ssh from this host's loopback address, which no range has, and goes into the container.
# Knob SourceIPRange: 192.0.2.0/32
# Given: CONTAINER and ENTER, as controller/emulation/script.py says, and NSENTRY_SSH, the command that leads to this
# host by ssh without a question where `ssh 127.0.0.1` does not.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

: "${NSENTRY_SSH:=ssh -o BatchMode=yes -o ConnectTimeout=5 127.0.0.1}"
$NSENTRY_SSH "env ${DOCKER_HOST:+DOCKER_HOST='$DOCKER_HOST'} $ENTER '$CONTAINER' /bin/sh -c 'cd /; sleep 1'"
