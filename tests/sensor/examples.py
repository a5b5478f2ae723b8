# SPDX-License-Identifier: Apache-2.0
"""One full example of every message of the wire: what the golden files hold.

`python -m tests.sensor.examples` writes the files of the present version anew. A file that was released is
never changed: a sensor of that version may still be out there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sensor import wire

GOLDEN = Path(__file__).parent / "golden" / f"v{wire.VERSION}"
HOST = "h-4f1c2a"
BOOT = "2f0b7a4e-8d51-4f0e-9d0c-6a2b1c3d4e5f"
T0 = 1_795_500_000_000_000_001
CAPS = "00000000a80425fb"
CONTAINER_ID = "b1946ac92492d2347c6235b4d2611184e55f6b2c9c3f0a1d7e8f90123456789a"


def identity(sequence: int) -> str:
    return f"{HOST}/{BOOT}/{sequence}"


HOST_MESSAGE: wire.Host = {
    "id": HOST,
    "boot": BOOT,
    "name": "node-7",
    "kernel": "6.1.0-28-amd64",
    "os": "Debian GNU/Linux 12 (bookworm)",
    "arch": "x86_64",
}
CONTAINER: wire.Container = {
    "id": CONTAINER_ID,
    "name": "web",
    "image": "nginx:1.27",
    "runtime": "docker",
    "labels": {"com.example.team": "shop", "empty": ""},
    "pod": {"name": "web-0", "namespace": "shop", "uid": None},
    "init_pid": 4100,
    "user": "",
    "caps": CAPS,
    "privileged": False,
}
PROCESS: wire.Process = {
    "pid": 4242,
    "ppid": 4230,
    "start": 5_000_000_000,
    "comm": "sh",
    "exe": "/bin/busybox",
    "filename": "/bin/sh",
    "argv": ["sh", "-c", 'printf "\x1b[2J\u202e" | ünïcode \\xff', ""],
    "argv_cut": False,
    "argv_redacted": True,
    "cwd": "/",
    "uid": 0,
    "gid": 0,
    "user": "root",
    "caps": CAPS,
    "tty": "pts/0",
}
ANCESTOR: wire.Ancestor = {
    "pid": 4230,
    "start": 4_900_000_000,
    "comm": "nsenter",
    "exe": "/usr/bin/nsenter",
    "argv": ["nsenter", "-t", "4100", "-a"],
    "uid": 0,
    "side": "host",
}
LOGIN: wire.Login = {"uid": 1000, "user": "alice", "session": 3}
CALLER: wire.Caller = {
    "pid": 4230,
    "start": 4_900_000_000,
    "comm": "docker",
    "exe": "/usr/bin/docker",
    "argv": ["docker", "exec", "-it", "web", "sh"],
    "uid": 0,
    "user": "root",
    "login": LOGIN,
    "tty": "pts/3",
    "opener": "ssh",
    "source": "[2001:db8::5]:51234",
    "via": ["sudo", "tmux"],
    "unit": "ssh.service",
    "container_id": None,
    "container_name": None,
    "login_ended": False,
}
CLIENT: wire.Client = {
    "caller": CALLER,
    "socket": "/run/docker.sock",
    "connected": [T0 - 9_000_000, T0 - 5_000_000],
    "closed": False,
    "witness": "connect",
}


def event(kind: str, sequence: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": identity(sequence),
        "time": T0 + sequence,
        "mono": 5_000_000_000 + sequence,
        "kind": kind,
        **fields,
    }


SETTINGS = {
    "privileged": False,
    "capabilities": ["CAP_CHOWN", "CAP_SYS_ADMIN"],
    "seccomp": "filter",
    "apparmor": "unconfined",
    "no_new_privileges": False,
    "read_only": False,
    "user": "1000",
    "host_namespaces": ["net"],
    "mounts": [{"source": "/run/docker.sock", "target": "/s", "writable": True}],
    "devices": ["/dev/fuse"],
    "image_digest": "sha256:00",
    "entrypoint": ["sh"],
    "environment": ["PATH"],
    "ports": None,
    "networks": ["bridge"],
    "restart": "no",
    "memory": 0,
    "cpus": 0,
    "pids": 100,
    "runtime": "runc",
    "checks": ["/bin/check -q"],
}

REQUEST: wire.Request = {
    "id": "0d1f6c2b5a4e8f7d9c3b2a1f0e5d4c3b",
    "audit_id": "5dabd2b0-b6fa-4c8e-96ca-6e7c91b2e55b",
    "level": "Metadata",
    "stage": "ResponseStarted",
    "verb": "get",
    "resource": "pods/exec",
    "namespace": "shop",
    "name": "cart-0",
    "pod": "cart-0",
    "container": "app",
    "node": None,
    "user": "alice@example.com",
    "groups": ["developers", "system:authenticated"],
    "impersonated": None,
    "impersonated_groups": [],
    "addresses": ["10.0.0.5"],
    "agent": "kubectl/v1.32.4 (linux/amd64) kubernetes/4cb5f07",
    "code": 101,
    "allowed": True,
    "reason": "",
    "said": 1764000000004000000,
    "terminal": False,
    "whole": True,
    "absent": None,
    "settings": None,
    "role": None,
    "subjects": [],
    "grants": [],
}

EVENTS: dict[str, dict[str, Any]] = {
    "entry": event(
        "entry",
        1,
        session=identity(1),
        means="ns-join",
        namespaces=["mnt", "pid"],
        verdict="ns-only",
        ns_container=CONTAINER_ID,
        cgroup_container=None,
        container=CONTAINER,
        process=PROCESS,
        entered_by=ANCESTOR,
        ancestry=[ANCESTOR, {**ANCESTOR, "pid": 1, "exe": None, "argv": None, "side": "unknown"}],
        login=LOGIN,
        exec_id=None,
        witnessed=True,
        reach=None,
        missing={"container.pod.uid": "pending", "process.tty": "unknown"},
        caller=CALLER,
        clients=[],
        clients_unseen=None,
    ),
    "attempt": event(
        "attempt",
        2,
        session=identity(2),
        means="docker-exec",
        namespaces=["ipc", "mnt", "net", "pid", "uts"],
        container=CONTAINER,
        entered_by=ANCESTOR,
        ancestry=[],
        login=None,
        exec_id="9f8e7d6c5b4a",
        missing={},
        caller=None,
        clients=[CLIENT],
        clients_unseen="1 of the processes is gone",
    ),
    "command": event("command", 3, session=identity(1), process=PROCESS, parent=4242, missing={}),
    "exit": event("exit", 4, session=identity(1), pid=4242, start=5_000_000_000, code=None, signal=9),
    "session_end": event(
        "session_end", 5, session=identity(1), code=0, signal=None, duration=12_345_678_901, commands=2
    ),
    "start": event(
        "start", 6, container={**CONTAINER, "pod": None}, process=PROCESS, missing={}, witnessed=True
    ),
    "stop": event("stop", 7, container=CONTAINER, code=137, signal=None),
    "update": event(
        "update", 8, target=identity(1), set={"container.pod.uid": "0f-1e", "process.tty": None}, missing={}
    ),
    "loss": event("loss", 9, cause="kernel.lost.ordinary", count=2**40, container_id=CONTAINER["id"]),
    "activity": event(
        "activity",
        12,
        what="connect",
        container_id=CONTAINER["id"],
        key="0123456789abcdef",
        first=T0,
        count=3,
        uid=33,
        comm="curl",
        exe=None,
        filename=None,
        argv=None,
        argv_cut=False,
        argv_redacted=False,
        address="2001:db8::1",
        port=443,
        protocol="tcp",
        parent_exe=None,
        digest=None,
    ),
    "configuration": event(
        "configuration",
        13,
        container=CONTAINER,
        settings=SETTINGS,
        because="changed",
        missing={"settings.ports": "unknown"},
        told=["update"],
        caller=None,
        clients=[CLIENT],
        clients_unseen=None,
    ),
    "file": event(
        "file",
        17,
        runtime="docker",
        path="/etc/docker/daemon.json",
        before={"digest": "0" * 64, "size": 2, "uid": 0, "mode": 0o644, "modified": 1795500000000000000},
        after=None,
        difference=["@@ -1 +0,0 @@", "-{}"],
        difference_cut=False,
        unwatched=False,
        caller=CALLER,
        caller_unknown=None,
    ),
    "connection": event(
        "connection",
        16,
        session=identity(1),
        what="streams",
        container=CONTAINER,
        process={**ANCESTOR, "side": "container"},
        protocol="tcp",
        address="2001:db8::1",
        port=4444,
        missing={},
    ),
    "contact": event(
        "contact",
        15,
        session=None,
        runtime="docker",
        place="/run/docker.sock",
        daemon={**ANCESTOR, "comm": "dockerd"},
        daemon_container=None,
        container=CONTAINER,
        process={**PROCESS, "filename": None},
        ancestry=[ANCESTOR],
        login=LOGIN,
        count=1,
        missing={"process.filename": "unknown"},
    ),
    "record": event(
        "record",
        14,
        request=REQUEST,
        source="docker",
        place="/run/docker.sock",
        key="00112233445566778899aabbccddeeff",
        action="exec_die",
        owner=0,
        container_id=CONTAINER["id"],
        exec_id="9f8e7d6c5b4a",
        pid=4242,
        command="/bin/sh -c ünïcode",
        code=0,
        read=T0 + 15,
        detail={"oldName": "/web"},
    ),
    "agent": event(
        "agent",
        10,
        action="signal",
        version="0.1.0",
        loader="core",
        hooks={"setns": "tracepoint syscalls:sys_exit_setns"},
        reason="SIGKILL",
        since=1_700_000_000_000_000_000,
        recorded=True,
        signal=9,
        sent_by=ANCESTOR,
        ancestry=[ANCESTOR],
        login={"uid": 1000, "user": "ann", "session": 3},
    ),
    "escape": event(
        "escape",
        11,
        session=identity(1),
        means="ns-join",
        namespaces=["mnt", "net"],
        container=CONTAINER,
        process=PROCESS,
        entered_by={**ANCESTOR, "side": "container"},
        ancestry=[],
        login=None,
        witnessed=False,
        missing={},
        caller=None,
    ),
}

MESSAGES: dict[str, tuple[type, dict[str, Any]]] = {
    "batch": (
        wire.Batch,
        {"v": 1, "host": HOST_MESSAGE, "sensor": "0.1.0", "sent": T0 + 99, "events": list(EVENTS.values())},
    ),
    "heartbeat": (
        wire.Heartbeat,
        {
            "v": 1,
            "host": HOST_MESSAGE,
            "sensor": "0.1.0",
            "sent": T0,
            "started": T0 - 1,
            "loader": "bcc",
            "loader_reason": "asked for",
            "pins": "/sys/fs/bpf/nsentry",
            "hooks": {"exec": "tracepoint sched:sched_process_exec"},
            "counters": {"ring.entry.full": 0, "spool.appended": 2**33},
            "gauges": {"spool.age_s": 0.25, "spool.bytes": 4096.0},
            "degraded": ["nothing listens at controller:8443"],
        },
    ),
    "enrolment": (
        wire.Enrolment,
        {
            "v": 1,
            "token": "s3cret",
            "name": "node-7",
            "machine": None,
            "kernel": "6.1.0-28-amd64",
            "os": "Debian GNU/Linux 12 (bookworm)",
            "arch": "x86_64",
            "sensor": "0.1.0",
        },
    ),
    "enrolled": (wire.Enrolled, {"v": 1, "host": HOST, "credential": "cred"}),
    "ack": (wire.Ack, {"v": 1, "stored": 9, "duplicate": 1, "refused": [identity(3)]}),
}


def contents() -> dict[str, bytes]:
    """Name of each golden file, and what belongs in it."""
    events = {f"event_{kind}.msgpack": wire.pack(example) for kind, example in EVENTS.items()}
    return events | {f"{name}.msgpack": wire.pack(message) for name, (_, message) in MESSAGES.items()}


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name, content in contents().items():
        (GOLDEN / name).write_bytes(content)
