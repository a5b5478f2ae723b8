# SPDX-License-Identifier: Apache-2.0
"""Writes to the API server that lead into containers: debug containers, pods, what makes pods, roles and bindings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sensor.wire import audit_objects as objects
from sensor.wire.audit_objects import part, text, texts
from sensor.wire.audit_saying import Redact, Saying, commanded, made
from sensor.wire.bounds import MAX_ARGS
from sensor.wire.parts import Request

BINDINGS: Final = {"rolebindings", "clusterrolebindings"}
MAX_HELD: Final = 256
"""Characters that are told of what a role or binding holds."""


def _answered(
    document: Mapping[str, Any], request: Request, *, made: bool = False
) -> tuple[dict[str, Any], bool]:
    """The object that a write is about, and whether the audit has it. `made`: as it is now, not as asked for."""
    names = ("responseObject", "requestObject") if made else ("requestObject", "responseObject")
    for name in names:
        value = document.get(name)
        if isinstance(value, list):  # a JSON patch
            values = [each.get("value") for each in value if isinstance(each, dict)]
            return {"patch": [each for each in values if isinstance(each, dict)]}, True
        if isinstance(value, dict) and value.get("kind") != "Status":
            return value, True
    cut = "audit.k8s.io/truncated" in part(document, "annotations")
    why = "cut by the API server" if cut else f"level {request['level']}"
    request["absent"] = f"object not in the audit: {why}"
    return {}, False


def debug_container(document: dict[str, Any], request: Request, redact: Redact) -> Saying | None:
    """An ephemeral container put into a pod that runs (kubectl debug)."""
    if request["stage"] == "RequestReceived":
        return None
    saying = made(document, request, "debug_container")
    asked, _ = _answered(document, request)
    found = objects.items(part(asked, "spec").get("ephemeralContainers") or asked.get("ephemeralContainers"))
    found = found or objects.items(asked.get("patch"))
    if found:
        last = found[-1]  # a whole list has those that were there before it
        names = {"image": "image", "targetContainerName": "target"}
        saying.detail = {mine: known for name, mine in names.items() if (known := text(last.get(name)))}
        request["container"] = text(last.get("name"))
        request["settings"] = objects.leading({"ephemeralContainers": [last]})
        words = [*texts(last.get("command"), MAX_ARGS), *texts(last.get("args"), MAX_ARGS)]
        if words:
            commanded(saying, words, redact)
    return saying


def workload(document: dict[str, Any], request: Request, _redact: Redact) -> Saying | None:
    """A pod, or what makes pods: where it leads to the host, or cannot be looked at."""
    if request["stage"] == "RequestReceived":
        return None
    pod = request["resource"] == "pods"
    saying = made(document, request, "pod_create" if pod else "workload_write")
    asked, told = _answered(document, request, made=request["verb"] == "patch")
    spec = objects.pod_spec(asked)
    if "patch" in asked:
        spec = {"containers": asked["patch"]}
    settings = objects.leading(spec)
    if settings is None and (told or not pod):
        return None
    request["settings"] = settings
    metadata = part(asked, "metadata")
    name = text(metadata.get("name")) or text(metadata.get("generateName"))
    request["name"] = request["name"] or name
    request["pod"] = request["pod"] or (name if pod else None)
    request["node"] = text(spec.get("nodeName"))
    owner = next(iter(objects.items(metadata.get("ownerReferences"))), {})
    if owner:
        saying.detail["owner"] = f"{text(owner.get('kind'))}/{text(owner.get('name'))}"[:256]
    images = [known for each in objects.items(spec.get("containers")) if (known := text(each.get("image")))]
    if images:
        saying.detail["image"] = ", ".join(images)[:256]
    return saying


def grant(document: dict[str, Any], request: Request, _redact: Redact) -> Saying | None:
    """A role was given to somebody, or one was written: "grant" where it leads into containers, else "role_write"."""
    if request["stage"] == "RequestReceived":
        return None
    saying = made(document, request, "grant")
    asked, told = _answered(document, request, made=request["verb"] == "patch")
    request["name"] = request["name"] or text(part(asked, "metadata").get("name"))
    if request["resource"] in BINDINGS:
        request["role"], request["subjects"], request["grants"] = objects.bound(asked)
        if request["role"] or request["subjects"]:
            given = f"{request['role'] or '?'} to {', '.join(request['subjects']) or 'nobody'}"
            saying.detail["holds"] = given[:MAX_HELD]
        return saying
    kind = "ClusterRole" if request["resource"] == "clusterroles" else "Role"
    request["role"], request["grants"] = f"{kind}/{request['name']}", objects.rights(asked)
    if "rules" in asked:
        saying.detail["holds"] = objects.rules(asked)[:MAX_HELD]
    if not request["grants"] and told:
        saying.action = saying.action.replace("grant", "role_write", 1)
    return saying


def taken(document: dict[str, Any], request: Request, _redact: Redact) -> Saying | None:
    """A role, or what gave one to somebody, was removed."""
    return None if request["stage"] == "RequestReceived" else made(document, request, "rbac_delete")
