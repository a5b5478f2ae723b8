# SPDX-License-Identifier: Apache-2.0
"""What events are made of: containers, processes, ancestors, logins."""

from __future__ import annotations

from typing import Final, Literal, NotRequired, TypedDict

NAMESPACES: Final = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
"""The eight kinds of namespace, in the kernel's own names (see namespaces(7))."""

Missing = Literal["pending", "unknown"]
Verdict = Literal["both", "ns-only", "cgroup-only", "shared", "unknown"]
"""Which of the two keys point at the container; "shared": the joined namespaces belong to several."""
Means = Literal[
    "docker-exec",
    "cri-exec",
    "podman-exec",
    "ctr-exec",
    "runc-exec",
    "ns-join",
    "proc-root",
    "cgroup-join",
    "inject",
    "probe",
    "unknown",
]
Reach = Literal["trace", "write", "take"]
"""How somebody reached into a process: attached to it by ptrace, wrote into its memory, took an open file of it."""
Runtime = Literal["docker", "containerd", "cri", "podman", "cri-o", "lxc", "nspawn", "unknown"]
RecordSource = Literal["docker", "podman", "containerd", "kubernetes"]


class Pod(TypedDict):
    """The Kubernetes pod that a container belongs to."""

    name: str
    namespace: str
    uid: str | None


class Container(TypedDict):
    """A container as the host knows it. `id` None: the entered namespaces belong to none that is known."""

    id: str | None
    name: str | None
    image: str | None
    runtime: Runtime
    labels: dict[str, str]
    pod: Pod | None
    init_pid: int | None
    """Its first process, as a pid of the host."""
    user: str | None
    """The user that the container is configured to run as, as configured ("", "app", "1000:1000")."""
    caps: str | None
    """The bounding set of its first process: what nothing inside may exceed."""
    privileged: bool | None
    addresses: NotRequired[list[str]]
    """Those of its network namespace that others reach it by. Not there where it has the host's, or another's, or
    that is not known."""


class Process(TypedDict):
    """One process at its latest exec. Pids are the host's."""

    pid: int
    ppid: int
    start: int
    """Start of the process, mono: with the pid it names the process, for pids come back."""
    comm: str
    exe: str | None
    """The file that runs, as the process would name it: "/bin/busybox", "memfd:x (deleted)"."""
    filename: str | None
    """The path that was given to execve, before links: "/bin/sh"; unlike argv[0] it cannot be made up."""
    argv: list[str] | None
    argv_cut: bool
    """The command line was longer than what is kept of it."""
    argv_redacted: bool
    cwd: str | None
    uid: int
    gid: int
    user: str | None
    """Its name on its own side: the host's for a process of the host; inside a container "root" for what is root
    there (uid is the host's number of it), and None, for the container's passwd is its own text."""
    caps: str
    tty: str | None
    """"pts/0", "tty1", or None without a terminal. Of the container's devpts where a runtime made one."""


class Ancestor(TypedDict):
    """One step up from a process, as far as it is known."""

    pid: int
    start: int
    comm: str
    exe: str | None
    argv: list[str] | None
    uid: int
    side: Literal["host", "container", "unknown"]
    """On which side of the door it stands: by its mount namespace."""


class Login(TypedDict):
    """The login that a process descends from (loginuid(5), audit session), inherited over su and sudo."""

    uid: int
    user: str | None
    session: int | None


class Mount(TypedDict):
    """A path of the host that a container has."""

    source: str
    """On the host, or the name of a volume."""
    target: str
    """In the container."""
    writable: bool


class Settings(TypedDict):
    """How a container is configured. None: no source said it."""

    privileged: bool | None
    capabilities: list[str] | None
    """The bounding set, by name: CAP_SYS_ADMIN."""
    seccomp: str | None
    """"filter", "filter sha256:..." of a profile that was given, or "unconfined"."""
    apparmor: str | None
    """The profile's name, or "unconfined"."""
    no_new_privileges: bool | None
    read_only: bool | None
    """Its root file system cannot be written."""
    user: str | None
    host_namespaces: list[str] | None
    """The kinds that it shares with the host, by the kernel's word; user and time are left out."""
    mounts: list[Mount] | None
    devices: list[str] | None
    """Paths beyond the devices that all containers have, or just "all"."""
    image_digest: str | None
    entrypoint: list[str] | None
    environment: list[str] | None
    """Names alone."""
    ports: list[str] | None
    """"0.0.0.0:8080->80/tcp"."""
    networks: list[str] | None
    restart: str | None
    """"always", "on-failure:3", "no"; of a pod it is not told on the host."""
    memory: int | None
    """Bytes; 0 is no limit, here and below."""
    cpus: int | None
    """Billionths of a CPU."""
    pids: int | None
    runtime: NotRequired[str | None]
    """The low-level runtime, as the daemon names it: "runc", "crun", "runsc", "io.containerd.kata.v2"."""
    checks: NotRequired[list[str] | None]
    """The health checks, exec probes and hooks that it declares, as command lines without secrets."""


class Request(TypedDict):
    """What a Kubernetes API server was asked, by its audit (audit.k8s.io/v1, one stage of one request).

    All text is of whoever asked, except what the API server decided; it is bounded, and None where it is not told.
    """

    id: str
    """Names the request: alike in all its stages and wherever they were read. Not the audit's own id, for that
    may be chosen by whoever asks (the header Audit-ID)."""
    audit_id: str
    level: str
    stage: str
    verb: str
    resource: str
    """With its subresource: "pods/exec"."""
    namespace: str | None
    name: str | None
    """Of the object that the request is about: the pod, the node, the role."""
    pod: str | None
    container: str | None
    """As the pod's specification calls it; None where none was named."""
    node: str | None
    user: str
    groups: list[str]
    impersonated: str | None
    impersonated_groups: list[str]
    addresses: list[str]
    """Where it came from, the client's own first; those before the last may be made up (X-Forwarded-For)."""
    agent: str | None
    code: int | None
    """The HTTP status that it was answered with; None: not answered yet."""
    allowed: bool | None
    reason: str | None
    """Why it was allowed or refused: the role binding, by the authoriser."""
    said: int
    """When the stage was reached, like `time`; the record's own `time` is when the request came."""
    terminal: bool | None
    whole: bool
    """The command is all of it: neither cut nor with a secret taken out."""
    absent: str | None
    """What the audit does not have of it, and why: "object not in the audit: level Metadata"."""
    settings: Settings | None
    """Of the pod that was asked for, what leads towards the host; None where it is not told, or nothing does."""
    role: str | None
    """Of a grant: which role, "ClusterRole/edit"."""
    subjects: list[str]
    """Of a grant: to whom, "User/jane"."""
    grants: list[str]
    """Of a grant: the rights that lead into containers, "create pods/exec"."""
