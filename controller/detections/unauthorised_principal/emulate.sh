#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A login that is on no list comes in: a login uid of no account, then an exec by the runtime's client.
# Knob AuthorizedAdminUsers: nobody-but-the-emulation
# Given: CONTAINER and ENTER, as controller/emulation/script.py says. Needs root, and a kernel with audit.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

# In a process of its own: the login uid ends with it.
(
    echo $((61000 + $(date +%s) % 4000)) >/proc/self/loginuid
    # shellcheck disable=SC2086
    exec $ENTER "$CONTAINER" /bin/sh -c 'cd /; sleep 1'
)
