# SPDX-License-Identifier: Apache-2.0
# Cron's nightly line: a shell in the container packs and checks, and removes what is old.
# Exception interactive_shell: process.tty is unknown and entry.command contains "nightly"
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to save}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" sh -c "mkdir -p /tmp/backup && tar -czf /tmp/backup/nightly.tgz /etc/passwd &&
    tar -tzf /tmp/backup/nightly.tgz >/dev/null && find /tmp/backup -mtime +7 -name '*.tgz' -exec rm -f {} +"
