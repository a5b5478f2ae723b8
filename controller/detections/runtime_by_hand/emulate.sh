#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Root of the host runs the low-level runtime itself, on the state that the daemon keeps of the container.
# Given: CONTAINER and INIT_PID, as controller/emulation/script.py says. Needs root on the host, and runc.
# Runtimes: docker cri
set -eu
: "${CONTAINER:?the container to enter}"
: "${INIT_PID:=$(docker inspect --format '{{.State.Pid}}' "$CONTAINER")}"

# The shim, parent of the container's first process, stands in the bundle; its options name where runc keeps state.
bundle=$(readlink "/proc/$(awk '/^PPid/ {print $2}' "/proc/$INIT_PID/status")/cwd")
namespace=$(basename "$(dirname "$bundle")")
root=$(grep -ao '"root":"[^"]*"' "$bundle/options.json" 2>/dev/null | cut -d '"' -f 4)
[ -n "$root" ] || root=$(find / -xdev -type d -path "*/$namespace/$CONTAINER" -name "$CONTAINER" 2>/dev/null |
    while read -r folder; do [ ! -f "$folder/state.json" ] || dirname "$(dirname "$folder")"; done | head -n 1)
runc --root "${root:-/run/containerd/runc}/$namespace" exec "$CONTAINER" true
