#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Somebody asks for execs in four pods and is refused.
# No API server is here: a line of its audit is replayed as a cluster that is enrolled for that and then revoked.
# Given: NAME, of the container that the line is about. Nothing is done to the container, nor to a cluster.
set -eu
: "${NAME:?the name of the container that the line is about}"

name=$NAME
now=$(date -u +%Y-%m-%dT%H:%M:%S.%6NZ)
nsentry-controller kubernetes replay --name "$name" - <<END
{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Request","auditID":"$name-1","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/default/pods/p1/exec?command=id","verb":"get","user":{"username":"$name","groups":["system:authenticated"]},"sourceIPs":["127.0.0.1"],"userAgent":"nsentry-emulation","objectRef":{"resource":"pods","subresource":"exec","namespace":"default","name":"p1"},"responseStatus":{"code":403},"requestReceivedTimestamp":"$now","stageTimestamp":"$now"}
{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Request","auditID":"$name-2","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/default/pods/p2/exec?command=id","verb":"get","user":{"username":"$name","groups":["system:authenticated"]},"sourceIPs":["127.0.0.1"],"userAgent":"nsentry-emulation","objectRef":{"resource":"pods","subresource":"exec","namespace":"default","name":"p2"},"responseStatus":{"code":403},"requestReceivedTimestamp":"$now","stageTimestamp":"$now"}
{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Request","auditID":"$name-3","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/default/pods/p3/exec?command=id","verb":"get","user":{"username":"$name","groups":["system:authenticated"]},"sourceIPs":["127.0.0.1"],"userAgent":"nsentry-emulation","objectRef":{"resource":"pods","subresource":"exec","namespace":"default","name":"p3"},"responseStatus":{"code":403},"requestReceivedTimestamp":"$now","stageTimestamp":"$now"}
{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Request","auditID":"$name-4","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/default/pods/p4/exec?command=id","verb":"get","user":{"username":"$name","groups":["system:authenticated"]},"sourceIPs":["127.0.0.1"],"userAgent":"nsentry-emulation","objectRef":{"resource":"pods","subresource":"exec","namespace":"default","name":"p4"},"responseStatus":{"code":403},"requestReceivedTimestamp":"$now","stageTimestamp":"$now"}
END
