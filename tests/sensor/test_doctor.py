# SPDX-License-Identifier: Apache-2.0
"""The doctor names each missing thing, the command that mends it, and the exit code of the contract."""

from __future__ import annotations

import os
import time
from email.utils import formatdate

import pytest

from sensor import identity, wire
from sensor.config import Config
from sensor.doctor import Check, Surroundings, delivery, everything, exit_code, preconditions, require
from sensor.doctor.packages import install_command
from sensor.fault import ExitCode, Fault
from sensor.health import Health
from sensor.spool import Spool
from sensor.status import StatusSocket
from tests.sensor.collector import CREDENTIAL, Authority, Refusal
from tests.sensor.examples import HOST_MESSAGE

ALL_CAPS = "000001ffffffffff"
STATUS = """Name:\tpython3
Umask:\t0022
State:\tR (running)
Tgid:\t{pid}
Pid:\t{pid}
PPid:\t1
TracerPid:\t0
Uid:\t0\t0\t0\t0
Gid:\t0\t0\t0\t0
NSpid:\t{pid}
CapInh:\t0000000000000000
CapPrm:\t{caps}
CapEff:\t{caps}
CapBnd:\t{caps}
CapAmb:\t0000000000000000
"""


class Host:
    """The root folder of a host on which all is well, until a test breaks it."""

    def __init__(self, root):
        self.root = root
        self.libbpf = "libc.so.6"
        self.release = "6.1.0-28-amd64"
        self.caps(ALL_CAPS)
        self.write("proc/self/uid_map", "         0          0 4294967295\n")
        (root / "proc/self/ns").mkdir()
        (root / "proc/self/ns/pid").symlink_to("pid:[4026531836]")
        self.write("sys/kernel/btf/vmlinux", "")
        (root / "sys/kernel/tracing/events").mkdir(parents=True)
        self.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
        self.write("etc/os-release", "ID=debian\n")
        self.write("object", "")
        self.write("bcc/libbcc.py", "")

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def caps(self, mask):
        self.write(f"proc/{os.getpid()}/status", STATUS.format(pid=os.getpid(), caps=mask))

    def remove(self, name):
        path = self.root / name
        path.rmdir() if path.is_dir() else path.unlink()

    def around(self) -> Surroundings:
        return Surroundings(
            root=self.root,
            libbpf=self.libbpf,
            bpf_object=lambda: self.root / "object",
            bcc_folders=lambda: [str(self.root / "bcc")] if (self.root / "bcc").exists() else [],
            release=self.release,
        )

    def checks(self, loader="auto") -> dict[str, Check]:
        return {check.name: check for check in preconditions(loader, self.around())}


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path / "root")


def test_a_good_host_passes_with_every_loader(host):
    for loader in ("auto", "bcc", "core"):
        assert {check.state for check in host.checks(loader).values()} == {"ok"}
        require(loader, host.around())


@pytest.mark.parametrize(
    ("mask", "missing"),
    [
        ("0000000000000000", "CAP_BPF and CAP_PERFMON and CAP_SYS_PTRACE"),
        (f"{1 << 39 | 1 << 38:016x}", "CAP_SYS_PTRACE"),
        (f"{1 << 39 | 1 << 19:016x}", "CAP_PERFMON"),
        (f"{1 << 21:016x}", "CAP_SYS_PTRACE"),
    ],
)
def test_missing_capabilities_are_named(host, mask, missing):
    host.caps(mask)
    with pytest.raises(Fault, match=f"^missing privilege: {missing}$") as caught:
        require("auto", host.around())
    assert caught.value.exit_code == ExitCode.PRIVILEGE
    assert "sudo" in caught.value.fix


@pytest.mark.parametrize("mask", [1 << 39 | 1 << 38 | 1 << 19, 1 << 21 | 1 << 19])
def test_the_capabilities_that_are_needed_are_enough(host, mask):
    host.caps(f"{mask:016x}")
    assert host.checks()["privilege"].state == "ok"


def breaks(host, name, action) -> Check:
    """The check that the action makes fail, which `run` refuses with the same words."""
    action()
    check = host.checks("core" if name in {"libbpf", "object"} else "bcc")[name]
    assert check.state == "fail"
    assert check.fix
    with pytest.raises(Fault) as caught:
        require("core" if name in {"libbpf", "object"} else "bcc", host.around())
    assert (caught.value.sentence, caught.value.fix) == (check.said, check.fix)
    assert caught.value.exit_code == check.exit_code
    return check


def test_no_btf(host):
    check = breaks(host, "btf", lambda: host.remove("sys/kernel/btf/vmlinux"))
    assert "CONFIG_DEBUG_INFO_BTF" in check.fix
    assert check.exit_code == ExitCode.CONFIG


def test_no_tracefs(host):
    check = breaks(host, "tracefs", lambda: host.remove("sys/kernel/tracing/events"))
    assert check.fix == "mount -t tracefs tracefs /sys/kernel/tracing"
    assert check.exit_code == ExitCode.CONFIG


def test_tracefs_below_debugfs_is_good_too(host):
    host.remove("sys/kernel/tracing/events")
    (host.root / "sys/kernel/debug/tracing/events").mkdir(parents=True)
    assert host.checks()["tracefs"].state == "ok"


def test_no_libbpf(host):
    host.libbpf = "libnosuch.so.1"
    check = breaks(host, "libbpf", lambda: None)
    assert check.fix == "apt-get install -y libbpf1"
    assert check.exit_code == ExitCode.CONFIG


def test_no_programs(host):
    assert breaks(host, "object", lambda: host.remove("object")).fix == "make -C bpf"


def test_no_bcc(host):
    check = breaks(host, "bcc", lambda: (host.remove("bcc/libbcc.py"), host.remove("bcc")))
    assert check.fix.startswith("apt-get install -y python3-bpfcc")
    assert "--system-site-packages" in check.fix


def test_the_other_package_of_the_name_bcc_is_told_apart(host):
    check = breaks(host, "bcc", lambda: host.remove("bcc/libbcc.py"))
    assert "is not the BPF Compiler Collection" in check.said


def test_an_old_kernel(host):
    host.release = "5.4.0-42-generic"
    assert "too old" in breaks(host, "kernel", lambda: None).said


def test_a_kernel_that_is_locked_down(host):
    check = breaks(
        host,
        "lockdown",
        lambda: host.write("sys/kernel/security/lockdown", "none integrity [confidentiality]"),
    )
    assert "confidentiality" in check.said


def test_a_user_namespace_of_its_own(host):
    check = breaks(host, "user namespace", lambda: host.write("proc/self/uid_map", "0 1000 1\n"))
    assert check.exit_code == ExitCode.PRIVILEGE


def test_a_pid_namespace_of_its_own_is_a_warning(host):
    host.remove("proc/self/ns/pid")
    (host.root / "proc/self/ns/pid").symlink_to("pid:[4026532200]")
    check = host.checks()["pid namespace"]
    assert (check.state, exit_code([check])) == ("warn", ExitCode.OK)
    require("auto", host.around())


def test_no_proc(host):
    host.remove(f"proc/{os.getpid()}/status")
    assert "mount -t proc" in host.checks()["privilege"].fix


def test_of_auto_one_loader_is_enough_and_the_other_is_a_warning(host):
    host.libbpf = "libnosuch.so.1"
    assert host.checks("auto")["libbpf"].state == "warn"
    require("auto", host.around())
    host.remove("bcc/libbcc.py")
    assert host.checks("auto")["libbpf"].state == host.checks("auto")["bcc"].state == "fail"
    with pytest.raises(Fault, match="libnosuch"):
        require("auto", host.around())


@pytest.mark.parametrize(
    ("release", "command"),
    [
        ("ID=debian", "apt-get install -y libbpf1"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"', "apt-get install -y libbpf1"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"', "dnf install -y libbpf"),
        ("ID=fedora", "dnf install -y libbpf"),
        ("ID=arch", "pacman -S libbpf"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"', "zypper install libbpf1"),
        ("ID=something", "apt-get install -y libbpf1"),
        ("ID='broken", "apt-get install -y libbpf1"),
        ("", "apt-get install -y libbpf1"),
    ],
)
def test_the_install_command_is_the_distributions_own(tmp_path, release, command):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text(release)
    assert install_command("libbpf", root=tmp_path) == command


def test_the_worst_failure_gives_the_exit_code():
    def code(*codes):
        return exit_code([Check.fail("x", "y", "z", one) for one in codes] + [Check.warn("w", "x", "y")])

    assert code() == ExitCode.OK
    assert code(ExitCode.FAILURE) == ExitCode.FAILURE
    assert code(ExitCode.FAILURE, ExitCode.UNREACHABLE) == ExitCode.UNREACHABLE
    assert code(ExitCode.UNREACHABLE, ExitCode.CONFIG) == ExitCode.CONFIG
    assert code(ExitCode.CONFIG, ExitCode.PRIVILEGE, ExitCode.UNREACHABLE) == ExitCode.PRIVILEGE


# -- delivery


@pytest.fixture
def enrolled(collector, authority, tmp_path):
    """Config of a sensor that is enrolled with the collector."""
    state = tmp_path / "state"
    identity.save(state, {"v": 1, "host": "h", "credential": CREDENTIAL}, collector.url, authority.pem)
    return Config.load({"state_dir": str(state)}, None, {}, tmp_path)


def controller_checks(config) -> dict[str, Check]:
    return {check.name: check for check in delivery.controller(config)}


def test_a_good_way_to_the_controller_is_shown_step_by_step(enrolled, collector):
    checks = controller_checks(enrolled)
    assert {name: check.state for name, check in checks.items()} == dict.fromkeys(
        ["enrolment", "controller", "credential", "clock"], "ok"
    )
    assert collector.events == []


def test_not_enrolled(tmp_path):
    (check,) = delivery.controller(Config.load({"state_dir": "s"}, None, {}, tmp_path))
    assert (check.name, check.state, check.exit_code) == ("enrolment", "fail", ExitCode.CONFIG)
    assert "nsentry-sensor enroll" in check.fix


def test_a_wrong_address(enrolled, collector):
    collector.kill()
    check = controller_checks(enrolled)["controller"]
    assert "nothing listens" in check.said
    assert check.exit_code == ExitCode.UNREACHABLE


def test_a_wrong_certificate(enrolled, make_collector, tmp_path):
    url = make_collector(authority=Authority("other")).url
    config = Config.load({"state_dir": str(enrolled.state_dir), "controller.url": url}, None, {}, tmp_path)
    check = controller_checks(config)["controller"]
    assert "not signed by the CA" in check.said
    assert check.exit_code == ExitCode.CONFIG


@pytest.mark.parametrize(
    ("refusal", "name", "code"),
    [
        (Refusal(401, "it was revoked"), "credential", ExitCode.CONFIG),
        (Refusal(426, "speaks 2"), "controller", ExitCode.CONFIG),
        (Refusal(500, "broken"), "controller", ExitCode.UNREACHABLE),
        (Refusal(404, "what?"), "controller", ExitCode.UNREACHABLE),
    ],
)
def test_a_controller_that_refuses_is_quoted(enrolled, collector, refusal, name, code):
    collector.always = refusal
    check = controller_checks(enrolled)[name]
    assert (check.state, check.exit_code) == ("fail", code)
    assert refusal.sentence in check.said
    assert check.fix


def test_a_clock_that_is_wrong_is_a_warning():
    now = time.time()
    assert delivery.clock(formatdate(now, usegmt=True), now).state == "ok"
    ahead = delivery.clock(formatdate(now - 3600, usegmt=True), now)
    assert ahead.state == "warn"
    assert "s ahead of the controller's" in ahead.said
    assert "behind" in delivery.clock(formatdate(now + 3600, usegmt=True), now).said
    assert delivery.clock(None, now).state == "ok"
    assert delivery.clock("yesterday", now).state == "ok"


def test_the_spool_is_looked_at_without_touching_it(enrolled):
    assert delivery.spool(enrolled).said == "0 events wait"
    spool = Spool.open(enrolled.state_dir / "spool.db", 1 << 24, host="h", boot="b")
    spool.append([{"id": spool.next_id(), "kind": "exit"}])
    assert delivery.spool(enrolled).said == "1 events wait"
    spool.close()


def test_a_damaged_spool_is_a_failure(enrolled):
    (enrolled.state_dir / "spool.db").write_bytes(b"no database" * 1000)
    check = delivery.spool(enrolled)
    assert check.state == "fail"
    assert "damaged" in check.said


def test_a_disk_too_small_for_the_spool_is_a_warning(enrolled, tmp_path):
    flags = {"state_dir": str(enrolled.state_dir), "spool.max_bytes": 1 << 40}
    check = delivery.spool(Config.load(flags, None, {}, tmp_path))
    assert check.state == "warn"
    assert "make room" in check.fix


def test_a_state_folder_that_is_open_to_others_is_a_warning(enrolled):
    assert delivery.state_dir(enrolled).state == "ok"
    enrolled.state_dir.chmod(0o755)
    assert delivery.state_dir(enrolled).fix == f"chmod 700 {enrolled.state_dir}"


def test_what_the_running_sensor_says_is_shown(enrolled):
    (check,) = delivery.running(enrolled)
    assert check.state == "ok"
    health = Health(HOST_MESSAGE)
    health.degraded.say("x", "fentry is \x1b[31mrefused")
    server = StatusSocket(enrolled.state_dir, health)
    server.start()
    runs, wrong = delivery.running(enrolled)
    server.stop()
    assert runs.said.startswith("runs, with loader")
    assert (wrong.state, wrong.said) == ("warn", "fentry is \\x1b[31mrefused")


@pytest.mark.parametrize(
    ("served", "state"),
    [
        ("fentry __x64_sys_setns", "ok"),
        ("kprobe __x64_sys_setns (fentry: EPERM)", "ok"),
        ("tracepoint syscalls:sys_exit_setns (fentry: EPERM)", "warn"),
    ],
)
def test_the_hook_of_the_running_sensor_is_shown_and_the_dear_one_is_a_warning(enrolled, served, state):
    health = Health(HOST_MESSAGE)
    health.watching(
        "core", "asked for", {"fork": "raw_tracepoint sched_process_fork", "setns": served}, "/sys/fs/bpf/x"
    )
    server = StatusSocket(enrolled.state_dir, health)
    server.start()
    checks = {check.name: check for check in delivery.running(enrolled)}
    server.stop()
    assert checks["hook"].state == state
    assert served in checks["hook"].said


def test_everything_covers_what_the_contract_names(enrolled, host):
    names = {check.name for check in everything(enrolled, host.around())}
    assert names >= {
        "privilege", "btf", "tracefs", "libbpf", "object", "bcc", "runtimes",
        "state", "spool", "enrolment", "controller", "credential", "clock",
    }  # fmt: skip


def test_an_empty_batch_is_what_the_credential_is_tried_with(enrolled, collector):
    seen = []
    collector.always = seen.append
    controller_checks(enrolled)
    assert seen[0]["events"] == []
    assert seen[0]["v"] == wire.VERSION
