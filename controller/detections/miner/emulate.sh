#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A copy of true under the name of a miner is run with a pool of its own loopback.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" sh -c "cp /bin/true /tmp/xmrig; /tmp/xmrig -o stratum+tcp://127.0.0.1:9; rm /tmp/xmrig" || true
