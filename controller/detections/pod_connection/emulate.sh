#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A port of a pod is forwarded.
# No API server is here: a line of its audit is replayed as a cluster that is enrolled for that and then revoked.
# Given: NAME, of the container that the line is about. Nothing is done to the container, nor to a cluster.
set -eu
: "${NAME:?the name of the container that the line is about}"

name=$NAME
now=$(date -u +%Y-%m-%dT%H:%M:%S.%6NZ)
nsentry-controller kubernetes replay --name "$name" - <<END
{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Request","auditID":"$name","stage":"ResponseStarted","requestURI":"/api/v1/namespaces/default/pods/$name/portforward","verb":"get","user":{"username":"emulation","groups":["system:authenticated"]},"sourceIPs":["127.0.0.1"],"userAgent":"nsentry-emulation","objectRef":{"resource":"pods","subresource":"portforward","namespace":"default","name":"$name"},"responseStatus":{"code":101},"requestReceivedTimestamp":"$now","stageTimestamp":"$now"}
END
