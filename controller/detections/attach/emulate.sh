#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Attaches to the container's first process for a second, and leaves without a signal to it.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
# Runtimes: docker podman
set -eu
: "${CONTAINER:?the container to attach to}"
CLIENT=${ENTER:-docker exec}
CLIENT=${CLIENT% exec}

# What attaches within a second after the start is taken for who started it.
sleep 2
# 137: it was still attached when its time was up, as it should be
timeout --signal=KILL 2 $CLIENT attach --no-stdin --sig-proxy=false "$CONTAINER" || [ $? -eq 137 ]
