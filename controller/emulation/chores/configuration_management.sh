# SPDX-License-Identifier: Apache-2.0
# A playbook: its connection finds the home folder, makes one to work in, sends a module, runs it and cleans up.
# Exception interactive_shell: process.command contains ".playbook" or process.command contains "echo ~"
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
set -eu
: "${CONTAINER:?the container to bring into shape}" "${ENTER:=docker exec}"

$ENTER "$CONTAINER" /bin/sh -c 'echo ~ && sleep 0'
$ENTER "$CONTAINER" /bin/sh -c '( umask 77 && mkdir -p /tmp/.playbook && echo made ) && sleep 0'
$ENTER "$CONTAINER" /bin/sh -c 'echo "test -d /etc && uname -m" >/tmp/.playbook/module.sh'
$ENTER "$CONTAINER" /bin/sh -c 'chmod u+x /tmp/.playbook/module.sh && sleep 0'
$ENTER "$CONTAINER" /bin/sh -c '/bin/sh /tmp/.playbook/module.sh && sleep 0'
$ENTER "$CONTAINER" /bin/sh -c 'rm -f -r /tmp/.playbook >/dev/null 2>&1 && sleep 0'
