#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A role is given to a user by one who is on no list.
# Knob AuthorizedAdminUsers: nobody-but-the-emulation
# No API server is here: a line of its audit is replayed as a cluster that is enrolled for that and then revoked.
# Given: NAME, of the container that the line is about. Nothing is done to the container, nor to a cluster.
set -eu
: "${NAME:?the name of the container that the line is about}"

name=$NAME
now=$(date -u +%Y-%m-%dT%H:%M:%S.%6NZ)
nsentry-controller kubernetes replay --name "$name" - <<END
{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Request","auditID":"$name","stage":"ResponseComplete","requestURI":"/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings","verb":"create","user":{"username":"emulation","groups":["system:authenticated"]},"sourceIPs":["127.0.0.1"],"userAgent":"nsentry-emulation","objectRef":{"resource":"rolebindings","namespace":"shop","apiGroup":"rbac.authorization.k8s.io","name":"$name"},"responseStatus":{"code":201},"requestReceivedTimestamp":"$now","stageTimestamp":"$now","requestObject":{"kind":"RoleBinding","metadata":{"name":"$name"},"roleRef":{"kind":"Role","name":"reader"},"subjects":[{"kind":"User","name":"bob"}]}}
END
