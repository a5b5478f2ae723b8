# SPDX-License-Identifier: Apache-2.0
# What a monitoring agent and people at dashboards ask all day: state, processes, figures, changes, logs.
# Runtimes: docker podman
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
CLIENT=${ENTER:-docker exec}
CLIENT=${CLIENT% exec}
: "${CONTAINER:?the container to look at}"

$CLIENT ps --all --quiet >/dev/null
$CLIENT inspect "$CONTAINER" >/dev/null
$CLIENT top "$CONTAINER" >/dev/null
$CLIENT stats --no-stream "$CONTAINER" >/dev/null
$CLIENT diff "$CONTAINER" >/dev/null
$CLIENT logs "$CONTAINER" >/dev/null
