# SPDX-License-Identifier: Apache-2.0
# logrotate by exec, its three ways: a log is moved and its writer told; copied and then emptied; packed and removed.
# Exception interactive_shell: process.command contains "/tmp/log/"
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container whose logs are rotated}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" sh -c "mkdir -p /tmp/log/ && echo line >>/tmp/log/access.log && echo line >>/tmp/log/error.log"
$ENTER "$CONTAINER" sh -c "mv /tmp/log/access.log /tmp/log/access.log.1 && kill -USR1 1"
$ENTER "$CONTAINER" sh -c "cp -p /tmp/log/error.log /tmp/log/error.log.1 && : >/tmp/log/error.log"
$ENTER "$CONTAINER" sh -c "gzip /tmp/log/access.log.1 && find /tmp/log/ -name '*.gz' -mtime +14 -exec rm -f {} +"
