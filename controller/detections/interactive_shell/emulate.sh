#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A person at `docker exec -it`: a shell with a terminal, left at once.
# Given: CONTAINER, INIT_PID and ENTER, as controller/emulation/script.py says. Needs script (bsdutils).
set -eu
: "${CONTAINER:?the container to enter}"
: "${ENTER:=docker exec}"

# `docker exec -t` wants a terminal of its own on this side; the exit is typed into it.
printf 'exit\n' | script --quiet --return --command "$ENTER -it $CONTAINER sh" /dev/null
