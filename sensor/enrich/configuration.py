# SPDX-License-Identifier: Apache-2.0
"""How a container is configured, as far as its runtime's documents tell: what it may do, and what it reaches.

Two documents complete each other. The bundle's config.json is what the low-level runtime enforced, so its word
counts for rights, profiles and mounts. The daemon's record knows what was asked for beyond it: ports, the
restart policy, limits that were changed since, the image's digest. Environment variables are told by name
alone, for their values are secrets too often.
"""

from __future__ import annotations

from hashlib import sha256
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
    resources = facts.section(linux, "resources")
    cpu = facts.section(resources, "cpu")
    said["memory"] = _limit(facts.section(resources, "memory").get("limit"))
    said["cpus"] = _share(cpu.get("quota"), cpu.get("period"))
    said["pids"] = _limit(facts.section(resources, "pids").get("limit"))
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
    network = facts.section(record, "NetworkSettings")
    if "PortBindings" in host:
        exposed = facts.section(network, "Ports") if host.get("PublishAllPorts") is True else {}
        said["ports"] = _any_port(_ports(facts.section(host, "PortBindings")), exposed)
    networks = facts.section(network, "Networks")
    said["networks"] = sorted(clean(name, facts.MAX_NAME) for name in networks)[:MAX_SETTINGS]
    said["restart"] = _restart(facts.section(host, "RestartPolicy"))
    said["memory"] = _limit(host.get("Memory"))
    said["cpus"] = _limit(host.get("NanoCpus")) or _share(host.get("CpuQuota"), host.get("CpuPeriod"))
    said["pids"] = _limit(host.get("PidsLimit"))
    runtime = record.get("OCIRuntime") or host.get("Runtime")  # podman's word, which has "oci" for the other
    if isinstance(runtime, str) and runtime:
        said["runtime"] = facts.text(runtime)
    if isinstance(record.get("Mounts"), list):
        said["mounts"] = _record_mounts(record["Mounts"])
    said["seccomp"] = _given_profile(host.get("SecurityOpt"))
    if said["privileged"]:
        said["seccomp"], said["apparmor"] = UNCONFINED, UNCONFINED
    return said


def of_both(bundle: Settings, record: Settings) -> Settings:
    """What is enforced, with what the daemon knows beyond it. Its limits count: a bundle is not written anew."""
    both = over(bundle, record)
    for name in ("memory", "cpus", "pids"):
        if record[name] is not None:
            both[name] = record[name]
    if bundle["seccomp"] == "filter" and (record["seccomp"] or "").startswith("filter"):
        both["seccomp"] = record["seccomp"]
    return both


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


def _any_port(bound: list[str], exposed: dict[str, Any]) -> list[str]:
    """With those that the daemon publishes on whichever port is free, another one at each start."""
    there = {one.rpartition("->")[2] for one in bound}
    free = [clean(f"0.0.0.0:?->{inner}", facts.MAX_NAME) for inner in exposed if inner not in there]
    return sorted([*bound, *free])[:MAX_SETTINGS]


def _restart(policy: dict[str, Any]) -> str | None:
    name, most = policy.get("Name"), policy.get("MaximumRetryCount")
    if not isinstance(name, str):
        return None
    counted = name == "on-failure" and isinstance(most, int) and most > 0
    return clean(f"{name}:{most}" if counted else name or "no", facts.MAX_NAME)


def _given_profile(options: object) -> str | None:
    """The seccomp profile that was asked for, by its digest: its text is the client's. None: the daemon's own."""
    for option in options if isinstance(options, list) else []:
        name, _, value = (
            option.replace(":", "=", 1).partition("=") if isinstance(option, str) else ("", "", "")
        )
        if name == "seccomp":
            digest = sha256(value.encode("utf-8", "backslashreplace")).hexdigest()[:16]
            return UNCONFINED if value == UNCONFINED else f"filter sha256:{digest}"
    return None


def _names(environment: list[Any]) -> list[str]:
    pairs = (pair.partition("=")[0] for pair in environment if isinstance(pair, str))
    return sorted({clean(name, facts.MAX_NAME) for name in pairs if name})[:MAX_SETTINGS]


def _argv(words: list[Any]) -> list[str]:
    return [clean(word, MAX_TEXT) for word in words[:MAX_ARGS] if isinstance(word, str)]


def _limit(value: object) -> int | None:
    """A limit; 0 is "none is set" in all of them, as is what is no number or below zero."""
    return min(value, 2**62) if isinstance(value, int) and value > 0 else 0


def _share(quota: object, period: object) -> int:
    """Billionths of a CPU, of the microseconds in a period; 0 without a limit."""
    if not isinstance(quota, int) or quota <= 0:
        return 0
    each = period if isinstance(period, int) and period > 0 else 100_000
    return min(quota * 1_000_000_000 // each, 2**62)


def _words(value: object) -> list[str]:
    words = value if isinstance(value, list) else []
    return [clean(word, facts.MAX_NAME) for word in words[:MAX_SETTINGS] if isinstance(word, str)]
