# SPDX-License-Identifier: Apache-2.0
# Whoever is on call looks into a container that misbehaves: a shell at a terminal, processes, files, an address.
# Approval
# Given: CONTAINER, ENTER, and LOGIN: the login uid of whom the window is for. Needs root, a kernel with audit, script.
set -eu
: "${CONTAINER:?the container to look into}" "${ENTER:=docker exec}" "${LOGIN:?the login uid to come as}"

typed='ps; cat /etc/resolv.conf; ls -l /proc/1/fd; wget -T 1 -O - http://127.0.0.1:8080/health; printenv; df; exit\n'
# In processes of their own: the login uid ends with them.
(
    echo "$LOGIN" >/proc/self/loginuid
    # shellcheck disable=SC2059
    printf "$typed" | script --quiet --command "$ENTER -it $CONTAINER sh" /dev/null
)
(
    echo "$LOGIN" >/proc/self/loginuid
    $ENTER "$CONTAINER" tcpdump-that-is-not-there || sleep 1
)
