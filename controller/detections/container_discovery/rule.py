# SPDX-License-Identifier: Apache-2.0
"""Somebody inside a container asked what other containers, pods, secrets or rights there are.

By a client (`kubectl get`, `docker ps`), by the API's own paths, by a search for a runtime's socket, or by a tool made
for it. Gravest for the tools and for rights and secrets; listing pods alone is low.
"""

from __future__ import annotations

import re

from controller.detect.commands import invocations
from controller.detect.files import executed
from controller.detect.programs import CONTAINER_TOOLS, RUNTIME_CLIENTS, words
from controller.detect.rule import Event, Finding, Severity, Visit

TITLE = "Enumeration of containers from inside one"
SEVERITY = Severity.HIGH
TECHNIQUES = ("T1613",)

MATCHED = ("process.exe", "process.argv", "process.user")
LISTS = words("get list ls ps images inspect describe info top api-resources api-versions cluster-info")
GRAVE = words("secrets secret can-i rolebindings clusterrolebindings serviceaccounts")
API = re.compile(
    r"/(?:containers|images|volumes|networks)/json\b|/api/v1/(?:namespaces|pods|secrets|nodes|services)\b|"
    r"/apis/\w[\w.]*/|selfsubjectaccessreviews|:102(?:50|55)/(?:pods|runningpods|run|exec|attach|containerLogs)\b"
)
SOCKET = re.compile(r"(?:docker|containerd|crio|podman|cri-dockerd)\*?\.sock|^\*\.sock$")


def rule(visit: Visit, event: Event) -> Finding | None:  # noqa: ARG001 - every rule has this signature
    """Fires on each question, the gravest of one command line first."""
    run = invocations(event)
    scripts = {path.rpartition("/")[2] for path in executed(event)} & CONTAINER_TOOLS
    if tool := next(
        (each for each in run if each.program in CONTAINER_TOOLS), next(iter(sorted(scripts)), None)
    ):
        return Finding(Severity.HIGH, f"a tool for getting on from a container was run: {tool}", MATCHED)
    asked = [each for each in run if each.program in RUNTIME_CLIENTS and LISTS & {*each.arguments}]
    asked += [each for each in run if each.program in RUNTIME_CLIENTS and "can-i" in each.arguments]
    if grave := next((each for each in asked if GRAVE & {*",".join(each.arguments).split(",")}), None):
        return Finding(Severity.MEDIUM, f"rights or secrets of the cluster were listed: {grave}", MATCHED)
    if path := next(
        (found[0] for each in run for word in each.arguments if (found := API.search(word))), None
    ):
        return Finding(Severity.MEDIUM, f"a runtime's or cluster's API was asked for {path}", MATCHED)
    searched = [
        each
        for each in run
        if each.program in {"find", "locate"}
        and (any(map(SOCKET.search, each.arguments)) or _sockets(each.arguments))
    ]
    if searched:
        return Finding(Severity.MEDIUM, f"a runtime's socket was searched for: {searched[0]}", MATCHED)
    return Finding(Severity.LOW, f"containers were listed: {asked[0]}", MATCHED) if asked else None


def _sockets(arguments: tuple[str, ...]) -> bool:
    """Whether find is to look for sockets: `-type s`."""
    return "-type s" in " ".join(arguments)
