# SPDX-License-Identifier: Apache-2.0
# A release: the new image is made, its container started beside the old one, seen to be well, and put in its place.
# Exception configuration_changed: severity <= "medium"
# Runtimes: docker podman
# Given: CONTAINER and ENTER, as controller/emulation/script.py says. All carry the label of the run.
set -eu
CLIENT=${ENTER:-docker exec}
CLIENT=${CLIENT% exec}
: "${CONTAINER:?the container to start others beside}"

name=$($CLIENT inspect --format '{{.Name}}' "$CONTAINER")
image=$($CLIENT inspect --format '{{.Image}}' "$CONTAINER")
web="${name#/}-web"
tag="localhost/nsentry-emulation-release:${name##*-}"
trap '$CLIENT rm -f "$web" "$web-new" "$web-old" >/dev/null 2>&1 || true; $CLIENT rmi -f "$tag" >/dev/null' EXIT
service() {
    $CLIENT run --detach --network=none --name="$1" --label="nsentry.emulation=${name##*-}" --restart=unless-stopped \
        --label=com.docker.compose.project=nsentry-emulation --label=com.docker.compose.service=web \
        --entrypoint=httpd "$2" -f -p 127.0.0.1:8080
}
service "$web" "$image"
$CLIENT build -q --network=none -t "$tag" - <<END
FROM $image
USER 65534
RUN echo 2 >/tmp/version
END
service "$web-new" "$tag"
$CLIENT logs "$web-new"
$CLIENT stop -t 1 "$web"
$CLIENT rename "$web" "$web-old"
$CLIENT rename "$web-new" "$web"
$CLIENT rm -f "$web-old"
