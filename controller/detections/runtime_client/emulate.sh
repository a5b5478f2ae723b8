#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A file with the name of a client is told to enter another container; there is no daemon that it could reach.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

# It fails, as it must: what counts is that it was run.
$ENTER "$CONTAINER" sh -c "cp /bin/true /tmp/kubectl; /tmp/kubectl exec db -- id; rm -f /tmp/kubectl" || true
