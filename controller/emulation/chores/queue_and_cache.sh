# SPDX-License-Identifier: Apache-2.0
# Scripts ask the services what they hold, from the host: single programs by exec, each with its answer taken outside.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to ask}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" df /tmp >/dev/null
$ENTER "$CONTAINER" date +%s >/dev/null
$ENTER "$CONTAINER" wc -c /etc/passwd >/dev/null
