#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A login that no list can have comes in: a login uid of no account, then docker exec by its client. Where
# AuthorizedAdminUsers is not set, it is for the time of this script; the audit log says so.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says. Needs root, and a kernel with audit.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

if nsentry-controller knobs list | grep -q '^AuthorizedAdminUsers  *not set'; then
    trap 'sleep 5; nsentry-controller knobs unset AuthorizedAdminUsers' EXIT
    nsentry-controller knobs set AuthorizedAdminUsers root
fi
# In a process of its own: the login uid ends with it.
(
    echo $((61000 + $(date +%s) % 4000)) >/proc/self/loginuid
    # shellcheck disable=SC2086
    exec $ENTER "$CONTAINER" /bin/sh -c 'cd /; sleep 1'
)
