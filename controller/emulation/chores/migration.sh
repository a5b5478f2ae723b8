# SPDX-License-Identifier: Apache-2.0
# A migration of a database: its own script in a shell, with the address and the secret in the environment.
# Exception interactive_shell: process.command contains "migrate"
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container of the application}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" sh -c "echo 'test -n \"\$1\" && echo migrated \"\$1\"' >/tmp/migrate.sh"
$ENTER "$CONTAINER" sh /tmp/migrate.sh 0042
