# SPDX-License-Identifier: Apache-2.0
"""How a container is configured, as far as its runtime's documents tell: what it may do, and what it reaches.

Two documents complete each other. The bundle's config.json is what the low-level runtime enforced, so its word
counts for rights, profiles and mounts. The daemon's record knows what was asked for beyond it: ports, the
restart policy, limits that were changed since, the image's digest. Environment variables are told by name
alone, for their values are secrets too often.
"""

from __future__ import annotations

from typing import Any, Final

from sensor.enrich import facts
from sensor.enrich.text import clean
from sensor.wire import MAX_ARGS, MAX_SETTINGS, MAX_TEXT, Mount, Settings

UNCONFINED: Final = "unconfined"

NOTHING: Final = Settings(
    privileged=None,
    capabilities=None,
    seccomp=None,
    apparmor=None,
    no_new_privileges=None,
    read_only=None,
    user=None,
    host_namespaces=None,
    mounts=None,
    devices=None,
    image_digest=None,
    entrypoint=None,
    environment=None,
    ports=None,
    networks=None,
    restart=None,
    memory=None,
    cpus=None,
    pids=None,
)
"""Settings of which nothing is known."""


def of_bundle(config: dict[str, Any]) -> Settings:
    """What a config.json enforces (OCI runtime specification, config.md and config-linux.md)."""
    process, linux = facts.section(config, "process"), facts.section(config, "linux")
    said = Settings(**NOTHING)
    if isinstance(process.get("args"), list):
        said["entrypoint"] = _argv(process["args"])
    if isinstance(process.get("env"), list):
        said["environment"] = _names(process["env"])
    bounding = facts.section(process, "capabilities").get("bounding")
    said["capabilities"] = sorted(_words(bounding)) if isinstance(bounding, list) else []
    profile = process.get("apparmorProfile")
    said["apparmor"] = facts.text(profile) or UNCONFINED
    said["seccomp"] = "filter" if facts.section(linux, "seccomp") else UNCONFINED
    said["no_new_privileges"] = process.get("noNewPrivileges") is True
    said["read_only"] = facts.section(config, "root").get("readonly") is True
    said["mounts"] = _bundle_mounts(config.get("mounts"))
    said["devices"] = _bundle_devices(linux)
    return said


def of_record(record: dict[str, Any]) -> Settings:
    """What the record of Docker's API says (podman answers alike), field by field."""
    config, host = facts.section(record, "Config"), facts.section(record, "HostConfig")
    said = Settings(**NOTHING)
    privileged, digest = host.get("Privileged"), record.get("Image")
    said["privileged"] = privileged if isinstance(privileged, bool) else None
    said["image_digest"] = facts.text(digest) if isinstance(digest, str) and digest else None
    said["user"] = facts.text(config.get("User"))
    path, args = record.get("Path"), record.get("Args")
    if isinstance(path, str) and isinstance(args, list):
        said["entrypoint"] = _argv([path, *args])
    if isinstance(config.get("Env"), list):
        said["environment"] = _names(config["Env"])
    if "PortBindings" in host:
        said["ports"] = _ports(facts.section(host, "PortBindings"))
    networks = facts.section(facts.section(record, "NetworkSettings"), "Networks")
    said["networks"] = sorted(clean(name, facts.MAX_NAME) for name in networks)[:MAX_SETTINGS]
    policy = facts.section(host, "RestartPolicy").get("Name")
    said["restart"] = (facts.text(policy) or "no") if isinstance(policy, str) else None
    said["memory"] = _limit(host.get("Memory"))
    said["cpus"] = _limit(host.get("NanoCpus"))
    said["pids"] = _limit(host.get("PidsLimit"))
    runtime = record.get("OCIRuntime") or host.get("Runtime")  # podman's word, which has "oci" for the other
    if isinstance(runtime, str) and runtime:
        said["runtime"] = facts.text(runtime)
    if isinstance(record.get("Mounts"), list):
        said["mounts"] = _record_mounts(record["Mounts"])
    if said["privileged"]:
        said["seccomp"], said["apparmor"] = UNCONFINED, UNCONFINED
    return said


def over(first: Settings, second: Settings) -> Settings:
    """The first's word where it has one, else the second's."""
    return Settings(**{**second, **{name: value for name, value in first.items() if value is not None}})  # type: ignore[typeddict-item]


def _bundle_mounts(mounts: object) -> list[Mount]:
    """The bind mounts: they lead to the host. What a runtime mounts anew, such as proc, is in every bundle."""
    found = []
    for mount in mounts if isinstance(mounts, list) else []:
        if not isinstance(mount, dict):
            continue
        options = _words(mount.get("options"))
        if mount.get("type") == "bind" or {"bind", "rbind"} & set(options):
            found.append(_mount(mount.get("source"), mount.get("destination"), writable="ro" not in options))
    return _bounded(found)


def _record_mounts(mounts: list[Any]) -> list[Mount]:
    return _bounded(
        [
            _mount(mount.get("Source"), mount.get("Destination"), writable=mount.get("RW") is not False)
            for mount in mounts
            if isinstance(mount, dict)
        ]
    )


def _mount(source: object, target: object, *, writable: bool) -> Mount:
    return Mount(source=facts.text(source) or "", target=facts.text(target) or "", writable=writable)


def _bounded(mounts: list[Mount]) -> list[Mount]:
    return sorted(mounts, key=lambda mount: (mount["target"], mount["source"]))[:MAX_SETTINGS]


def _bundle_devices(linux: dict[str, Any]) -> list[str]:
    """The devices beyond those that every container has; "all" where the cgroup allows every one."""
    rules = facts.section(linux, "resources").get("devices")
    for rule in rules if isinstance(rules, list) else []:
        if isinstance(rule, dict) and rule.get("allow") is True and rule.get("type") in {None, "", "a"}:
            return ["all"]
    devices = linux.get("devices")
    paths = [one.get("path") for one in devices if isinstance(one, dict)] if isinstance(devices, list) else []
    return sorted(clean(path, facts.MAX_NAME) for path in paths if isinstance(path, str))[:MAX_SETTINGS]


def _ports(bindings: dict[str, Any]) -> list[str]:
    """As `docker ps` prints them: "0.0.0.0:8080->80/tcp"."""
    found = []
    for inner, outer in bindings.items():
        for one in outer if isinstance(outer, list) else []:
            if isinstance(one, dict):
                address, port = one.get("HostIp") or "0.0.0.0", one.get("HostPort") or "?"  # noqa: S104
                found.append(clean(f"{address}:{port}->{inner}", facts.MAX_NAME))
    return sorted(found)[:MAX_SETTINGS]


def _names(environment: list[Any]) -> list[str]:
    pairs = (pair.partition("=")[0] for pair in environment if isinstance(pair, str))
    return sorted({clean(name, facts.MAX_NAME) for name in pairs if name})[:MAX_SETTINGS]


def _argv(words: list[Any]) -> list[str]:
    return [clean(word, MAX_TEXT) for word in words[:MAX_ARGS] if isinstance(word, str)]


def _limit(value: object) -> int | None:
    """A limit; 0 is "none is set" in all of them, as is what is no number or below zero."""
    return min(value, 2**62) if isinstance(value, int) and value > 0 else 0


def _words(value: object) -> list[str]:
    words = value if isinstance(value, list) else []
    return [clean(word, facts.MAX_NAME) for word in words[:MAX_SETTINGS] if isinstance(word, str)]
