# SPDX-License-Identifier: Apache-2.0
# A job of a CI runner: a container is started, sources go in, steps run in it by exec, and what they made comes out.
# Exception files_copied: kind == "record"
# Exception interactive_shell: process.command contains "/tmp/src"
# Runtimes: docker podman
# Given: CONTAINER and ENTER, as controller/emulation/script.py says. The job carries the label of the run.
set -eu
CLIENT=${ENTER:-docker exec}
CLIENT=${CLIENT% exec}
: "${CONTAINER:?the container to start another beside}"

name=$($CLIENT inspect --format '{{.Name}}' "$CONTAINER")
image=$($CLIENT inspect --format '{{.Image}}' "$CONTAINER")
job="${name#/}-job"
folder=$(mktemp -d)
trap '$CLIENT rm -f "$job" >/dev/null; rm -rf "$folder"' EXIT
$CLIENT run --detach --network=none --name="$job" --label="nsentry.emulation=${name##*-}" --entrypoint=sleep "$image" 120
mkdir "$folder/src"
echo 'tar -czf /tmp/made.tgz /tmp/src && tar -tzf /tmp/made.tgz' >"$folder/src/build.sh"
$CLIENT cp "$folder/src" "$job:/tmp/src"
$CLIENT exec "$job" sh -e /tmp/src/build.sh
$CLIENT exec --env CI=true "$job" sh -c 'cd /tmp/src && test -s build.sh'
$CLIENT cp "$job:/tmp/made.tgz" "$folder/made.tgz"
