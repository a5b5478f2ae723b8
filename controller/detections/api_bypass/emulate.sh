#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A cluster's audit tells of one exec; another one in a container with a pod's labels was asked of no API server.
# No API server is here: its line is replayed as a cluster that is enrolled for that and then revoked.
# Given: CONTAINER and ENTER, as controller/emulation/script.py says.
# Runtimes: docker
set -eu
: "${CONTAINER:?the container to start another beside}"
CLIENT=${ENTER:-docker exec}
CLIENT=${CLIENT% exec}

name=$($CLIENT inspect --format '{{.Name}}' "$CONTAINER")
name=${name#/}
now=$(date -u +%Y-%m-%dT%H:%M:%S.%6NZ)
image=$($CLIENT inspect --format '{{.Image}}' "$CONTAINER")
label=$($CLIENT inspect --format '{{index .Config.Labels "nsentry.emulation"}}' "$CONTAINER")
nsentry-controller kubernetes replay --name "$name" --hold 20 - <<END &
{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Request","auditID":"$name","stage":"ResponseStarted","requestURI":"/api/v1/namespaces/default/pods/other/exec?command=id","verb":"get","user":{"username":"emulation","groups":["system:authenticated"]},"sourceIPs":["127.0.0.1"],"userAgent":"nsentry-emulation","objectRef":{"resource":"pods","subresource":"exec","namespace":"default","name":"other"},"responseStatus":{"code":101},"requestReceivedTimestamp":"$now","stageTimestamp":"$now"}
END

$CLIENT run --detach --rm --network=none --user=65534:65534 --name="$name-pod" --label="nsentry.emulation=$label" \
    --label=io.kubernetes.pod.name="$name-pod" --label=io.kubernetes.pod.namespace=default \
    --label=io.kubernetes.container.name=app --entrypoint=sleep "$image" 120
# Once the audit has told of the other: before, it is not known that it is heard.
tries=0
until nsentry-controller records list --source kubernetes --since 2m --json | grep -q "$name"; do
    tries=$((tries + 1))
    [ "$tries" -lt 40 ] || { echo "the replayed line did not arrive" >&2; exit 1; }
    sleep 0.5
done
$CLIENT exec "$name-pod" id
wait
