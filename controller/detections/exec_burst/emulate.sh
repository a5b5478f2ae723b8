#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A script goes into the same container twelve times, as a login that no other burst can be of: a login uid of no account.
# Knob ExecFrequencyThreshold: 10/10m
# Given: CONTAINER and ENTER, as controller/emulation/script.py says. Needs root, and a kernel with audit.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

# In a process of its own: the login uid ends with it.
(
    echo $((61000 + $(date +%s) % 4000)) >/proc/self/loginuid
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
        $ENTER "$CONTAINER" /bin/true
    done
)
