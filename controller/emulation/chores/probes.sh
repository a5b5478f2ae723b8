# SPDX-License-Identifier: Apache-2.0
# A health check that the container declares, which its runtime runs: a shell, a download of its own page.
# Runtimes: docker
# Given: CONTAINER and ENTER, as controller/emulation/script.py says. The second carries the label of the run.
set -eu
CLIENT=${ENTER:-docker exec}
CLIENT=${CLIENT% exec}
: "${CONTAINER:?the container to start another beside}"

name=$($CLIENT inspect --format '{{.Name}}' "$CONTAINER")
image=$($CLIENT inspect --format '{{.Image}}' "$CONTAINER")
well="${name#/}-well"
trap '$CLIENT rm -f "$well" >/dev/null' EXIT
$CLIENT run --detach --network=none --name="$well" --label="nsentry.emulation=${name##*-}" --health-interval=1s \
    --health-cmd='wget -q -O /dev/null http://127.0.0.1:8080/ || cat /etc/passwd >/dev/null' \
    --entrypoint=httpd "$image" -f -p 127.0.0.1:8080
tries=0
until [ "$($CLIENT inspect --format '{{.State.Health.Status}}' "$well")" = healthy ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || { echo "no health check ran within 30 s" >&2; exit 1; }
    sleep 0.5
done
