#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The place of a pod's token is read, and a request to an API server made with what is not there.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to enter}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" sh -c "cat /var/run/secrets/kubernetes.io/serviceaccount/token
wget -T 1 -O - http://127.0.0.1:6443/api/v1/secrets" || true
