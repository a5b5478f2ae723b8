#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Root with more capabilities than the container has, which runs as somebody else with a few.
# Given: CONTAINER, INIT_PID and ENTER, as controller/emulation/script.py says. Falls back to nsenter, as root.
# Runtimes: docker podman
set -eu
: "${CONTAINER:?the container to enter}"
: "${INIT_PID:=$(docker inspect --format '{{.State.Pid}}' "$CONTAINER")}"
: "${ENTER:=docker exec}"

# A host that lacks a capability itself (a machine inside a machine) cannot give all of them: "unable to apply caps".
$ENTER --privileged --user 0 "$CONTAINER" grep CapEff /proc/self/status ||
    nsenter --target "$INIT_PID" --all grep CapEff /proc/self/status
