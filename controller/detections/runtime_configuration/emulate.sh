#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A daemon's configuration is written into a folder that sensors watch for this alone, and changed so that it would
# listen on the network. No runtime reads it; the host's true files are not touched. Folder and file are removed.
# Given: CONTAINER, whose name the file has, and DOCKER_HOST where the daemon is not at its usual place. Needs root,
# and a sensor whose files.paths have /run/nsentry-emulation/files, as by default.
set -eu
: "${CONTAINER:?the container that the file is to name}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

name=$(docker inspect --format '{{.Name}}' "$CONTAINER")
folder=/run/nsentry-emulation/files
file=$folder/${name#/}.json
mkdir -p "$folder"
trap 'rm -f "$file"; rmdir "$folder" "${folder%/*}" 2>/dev/null || true' EXIT
sleep 6
printf '{\n  "log-level": "info"\n}\n' >"$file"
sleep 3
printf '{\n  "hosts": ["tcp://0.0.0.0:2375"],\n  "log-level": "info"\n}\n' >"$file"
sleep 3
