#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A role is given to a user by one who is on no list. Where AuthorizedAdminUsers is not set, it is for the time of this
# script; the audit log says so.
# No API server is here: a line of its audit is replayed as a cluster that is enrolled for that and then revoked.
# Given: CONTAINER, whose name the line has.
set -eu
: "${CONTAINER:?the container that the line is to name}"
export DOCKER_HOST="${NSENTRY_DOCKER_HOST:-${DOCKER_HOST:-unix:///var/run/docker.sock}}"

if nsentry-controller knobs list | grep -q '^AuthorizedAdminUsers  *not set'; then
    trap 'sleep 5; nsentry-controller knobs unset AuthorizedAdminUsers' EXIT
    nsentry-controller knobs set AuthorizedAdminUsers root
fi
name=$(docker inspect --format '{{.Name}}' "$CONTAINER")
name=${name#/}
now=$(date -u +%Y-%m-%dT%H:%M:%S.%6NZ)
nsentry-controller kubernetes replay --name "$name" - <<END
{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Request","auditID":"$name","stage":"ResponseComplete","requestURI":"/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings","verb":"create","user":{"username":"emulation","groups":["system:authenticated"]},"sourceIPs":["127.0.0.1"],"userAgent":"nsentry-emulation","objectRef":{"resource":"rolebindings","namespace":"shop","apiGroup":"rbac.authorization.k8s.io","name":"$name"},"responseStatus":{"code":201},"requestReceivedTimestamp":"$now","stageTimestamp":"$now","requestObject":{"kind":"RoleBinding","metadata":{"name":"$name"},"roleRef":{"kind":"Role","name":"reader"},"subjects":[{"kind":"User","name":"bob"}]}}
END
