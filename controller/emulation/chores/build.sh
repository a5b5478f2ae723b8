# SPDX-License-Identifier: Apache-2.0
# An image is built in steps: packages fetched and unpacked, an account made, modes set, caches thrown away.
# Runtimes: docker podman
# Given: CONTAINER and ENTER, as controller/emulation/script.py says. Every step is a container of its own.
set -eu
CLIENT=${ENTER:-docker exec}
CLIENT=${CLIENT% exec}
: "${CONTAINER:?of the image to build on}"

image=$($CLIENT inspect --format '{{.Image}}' "$CONTAINER")
name=$($CLIENT inspect --format '{{.Name}}' "$CONTAINER")
tag="localhost/nsentry-emulation-build:${name##*-}"
trap '$CLIENT rmi -f "$tag" >/dev/null' EXIT
$CLIENT build --network=none --label nsentry.emulation="${name##*-}" -t "$tag" - <<END
FROM $image
USER 0
RUN wget -T 1 -O /tmp/package.tgz http://127.0.0.1:9/package.tgz || tar -czf /tmp/package.tgz /etc/passwd
RUN tar -xzf /tmp/package.tgz -C /tmp && rm -rf /tmp/package.tgz /var/log/* /root/.ash_history
RUN echo 'app:x:1000:1000::/:/bin/sh' >>/etc/passwd && cp /bin/true /bin/helper && chmod 4755 /bin/helper
USER 1000
RUN id && env
END
