# SPDX-License-Identifier: Apache-2.0
"""What the objects in an audit event lead to: pods that reach the host, roles that let people into containers.

Pure, and safe with anything: objects of the audit were written by whoever asked, and need not have been accepted.
Fields as https://kubernetes.io/docs/reference/kubernetes-api/ has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from sensor.wire.bounds import MAX_SETTINGS
from sensor.wire.parts import Mount, Settings

MAX_NAMED: Final = 32
"""Most rights, or people, of one grant that are named."""
MAX_NAME: Final = 256

_NAMESPACES: Final = {"hostIPC": "ipc", "hostNetwork": "net", "hostPID": "pid"}
_CONTAINERS: Final = ("containers", "initContainers", "ephemeralContainers")
_ALL: Final = ("BPF", "DAC_READ_SEARCH", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO")
"""What is named of capability "ALL": those by which containers were left."""
_LEADING: Final[Mapping[str, frozenset[str]]] = {
    # kubectl of 1.31 and newer execs by GET (WebSocket), older ones by POST
    "pods/exec": frozenset({"create", "get"}),
    "pods/attach": frozenset({"create", "get"}),
    "pods/portforward": frozenset({"create", "get"}),
    "pods/ephemeralcontainers": frozenset({"patch", "update"}),
    "nodes/proxy": frozenset({"create", "get"}),
}
_BECOMING: Final = {"impersonate": {"users", "groups", "serviceaccounts"}, "escalate": {"roles", "clusterroles"},
                    "bind": {"roles", "clusterroles"}}  # fmt: skip
_BUILT_IN: Final = {"cluster-admin": "* *", "admin": "create pods/exec", "edit": "create pods/exec"}
"""Roles that every cluster has (rbac.authorization.k8s.io/bootstrapping), by what of them leads into containers."""


def text(value: object, most: int = MAX_NAME) -> str | None:
    """A text of the audit, bounded, and fit for both sides; None where it is none, or empty."""
    if not isinstance(value, str) or not value:
        return None
    return value[:most].encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")[:most]


def part(value: object, *names: str) -> dict[str, Any]:
    """The map at a path; an empty one where there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[dict[str, Any]]:
    """The maps in a list, a bounded number."""
    return (
        [each for each in value[:MAX_SETTINGS] if isinstance(each, dict)] if isinstance(value, list) else []
    )


def texts(value: object, most: int = MAX_NAMED) -> list[str]:
    """The texts in a list, a bounded number."""
    if not isinstance(value, list):
        return []
    return [known for each in value[:most] if (known := text(each)) is not None]


def pod_spec(document: Mapping[str, Any]) -> dict[str, Any]:
    """The specification of the pod that a Pod, a workload or a CronJob makes."""
    spec = part(document, "spec")
    return part(spec, "jobTemplate", "spec", "template", "spec") or part(spec, "template", "spec") or spec


def leading(spec: Mapping[str, Any]) -> Settings | None:
    """What of a pod leads towards the host, of all its containers together; None where nothing does."""
    containers = [each for name in _CONTAINERS for each in items(spec.get(name))]
    settings = _nothing()
    settings["privileged"] = any(
        part(each, "securityContext").get("privileged") is True for each in containers
    )
    settings["host_namespaces"] = [kind for name, kind in _NAMESPACES.items() if spec.get(name) is True]
    settings["mounts"] = list(_mounts(spec, containers))[:MAX_SETTINGS]
    settings["capabilities"] = sorted({name for each in containers for name in _added(each)})[:MAX_SETTINGS]
    profiles = [part(each, "securityContext", "seccompProfile") for each in (spec, *containers)]
    settings["seccomp"] = "unconfined" if any(each.get("type") == "Unconfined" for each in profiles) else None
    found = ("privileged", "host_namespaces", "mounts", "capabilities")
    return settings if any(settings[name] for name in found) else None  # type: ignore[literal-required]


def _added(container: Mapping[str, Any]) -> Iterator[str]:
    for name in texts(part(container, "securityContext", "capabilities").get("add"), 64):
        for one in _ALL if name.upper() == "ALL" else (name.upper().removeprefix("CAP_"),):
            yield f"CAP_{one}"


def _mounts(spec: Mapping[str, Any], containers: list[dict[str, Any]]) -> Iterator[Mount]:
    paths = {
        each.get("name"): path
        for each in items(spec.get("volumes"))
        if isinstance(each.get("name"), str) and (path := text(part(each, "hostPath").get("path"), 1024))
    }
    for container in containers:
        for mount in items(container.get("volumeMounts")):
            name = mount.get("name")
            if isinstance(name, str) and name in paths:
                target = text(mount.get("mountPath"), 1024) or ""
                yield Mount(source=paths[name], target=target, writable=mount.get("readOnly") is not True)


def _nothing() -> Settings:
    """A Settings of which nothing is known."""
    return Settings(
        privileged=None, capabilities=None, seccomp=None, apparmor=None, no_new_privileges=None, read_only=None,
        user=None, host_namespaces=None, mounts=None, devices=None, image_digest=None, entrypoint=None,
        environment=None, ports=None, networks=None, restart=None, memory=None, cpus=None, pids=None,
    )  # fmt: skip


def rights(document: Mapping[str, Any]) -> list[str]:
    """What a Role or ClusterRole allows that leads into containers: "create pods/exec"."""
    found = {one for rule in items(document.get("rules")) for one in _of_rule(rule)}
    return sorted(found)[:MAX_NAMED]


def _of_rule(rule: Mapping[str, Any]) -> Iterator[str]:
    groups, verbs = set(texts(rule.get("apiGroups"))), set(texts(rule.get("verbs"), 64))
    resources = set(texts(rule.get("resources"), 256))
    if groups & {"*"} and verbs & {"*"} and resources & {"*", "*/*"}:
        yield "* *"
        return
    if groups & {"", "*"} or (not groups and rule.get("apiGroups")):
        for resource, leading_verbs in _LEADING.items():
            if _covers(resources, resource):
                yield from (f"{verb} {resource}" for verb in sorted(verbs & (leading_verbs | {"*"})))
    for verb, kinds in _BECOMING.items():
        if verbs & {verb, "*"} and "*" not in verbs:
            yield from (
                f"{verb} {kind}"
                for kind in sorted(kinds & resources or (kinds if "*" in resources else set()))
            )


def _covers(resources: set[str], wanted: str) -> bool:
    whole, _, sub = wanted.partition("/")
    return bool(resources & {wanted, "*", f"{whole}/*", f"*/{sub}", "*/*"})


def rules(document: Mapping[str, Any]) -> str:
    """All that a Role or ClusterRole allows, in one line: "get,list pods; create pods/exec"."""
    said = []
    for rule in items(document.get("rules")):
        what = texts(rule.get("resources")) or texts(rule.get("nonResourceURLs"))
        named = texts(rule.get("resourceNames"))
        only = f" named {','.join(named)}" if named else ""
        said.append(f"{','.join(texts(rule.get('verbs')))} {','.join(what)}{only}")
    return "; ".join(said) or "nothing"


def bound(document: Mapping[str, Any]) -> tuple[str | None, list[str], list[str]]:
    """Of a RoleBinding or ClusterRoleBinding: the role, to whom it is given, and what a built-in one leads to."""
    reference = part(document, "roleRef")
    kind, name = text(reference.get("kind")), text(reference.get("name"))
    whom = []
    for each in items(document.get("subjects"))[:MAX_NAMED]:
        where = text(each.get("namespace"))
        called = text(each.get("name")) or "?"
        whom.append(f"{text(each.get('kind')) or '?'}/{where + '/' if where else ''}{called}"[:MAX_NAME])
    role = f"{kind or '?'}/{name}" if name else None
    known = _BUILT_IN.get(name or "") if kind == "ClusterRole" else None
    return role, whom, [known] if known else []
