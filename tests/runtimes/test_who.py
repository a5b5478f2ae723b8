# SPDX-License-Identifier: Apache-2.0
"""Real people over a real sshd, by real runtimes: each visit says who it was, and never a wrong name."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.runtimes.lab import BOB, JANE, Lab
from tests.runtimes.ways.targets import Ground, engine
from vagrant.local.stack import Stack

SURE = {"exact", "strong"}
"""Other sensors of this machine may be connected to our daemon too, and do not say what for."""


@pytest.fixture(scope="module")
def lab(tracefs, tmp_path_factory):
    with ExitStack() as undo:
        yield Lab(tmp_path_factory.mktemp("who"), undo)


def test_docker_exec_over_ssh_is_by_the_person_who_logged_in(lab):
    web, name = lab.web()
    forged = f"SSH_CLIENT='6.6.6.6 1 22' SUDO_USER=root {lab.docker('exec', name, 'id')}"
    lab.sshd.run(JANE, forged)
    (entry,) = lab.entries(web)
    who = entry["principal"]
    assert (who["kind"], who["name"], who["confidence"] in SURE) == ("person", JANE, True), who
    assert who["source"].startswith("127.0.0.1:")
    assert entry["sentence"].startswith(f"{JANE} (ssh from 127.0.0.1) on ")
    assert " as root by docker exec, ran id" in entry["sentence"]
    assert [each["id"] for each in lab.stack.read("entries", "list", "--principal", JANE, "--container", web)]
    assert lab.stack.read("sessions", "list", "--principal", JANE, "--container", web)[0]["principal"] == who


def test_a_terminal_and_ipv6_are_told(lab):
    web, name = lab.web()
    lab.sshd.run(BOB, lab.docker("exec", "-it", name, "id"), "-tt", host="::1")
    who = lab.entries(web)[0]["principal"]
    assert (who["name"], who["tty"].split("/")[0]) == (BOB, "pts")
    assert who["source"].startswith("[::1]:")


def test_two_people_in_the_same_second_are_each_named_rightly(lab):
    web, name = lab.web()
    people = [JANE, BOB] * 3
    running = [
        subprocess.Popen(lab.sshd.line(who, lab.docker("exec", name, "sh", "-c", f": {number}; sleep 1")))
        for number, who in enumerate(people)
    ]
    assert [each.wait(60) for each in running] == [0] * len(people)
    found = lab.entries(web, len(people))
    told = {each["process"]["argv"][2].split(";")[0]: each["principal"] for each in found}
    assert {key: who["name"] for key, who in told.items()} == {
        f": {number}": who for number, who in enumerate(people)
    }


def test_of_two_who_do_the_very_same_in_the_same_moment_each_is_named_rightly(lab):
    """By the exec's id, which the kernel saw the daemon read from each client's own connection."""
    web, name = lab.web()
    people = [JANE, BOB] * 3
    running = [
        subprocess.Popen(lab.sshd.line(who, lab.docker("exec", "-e", f"WHO={who}", name, "sleep", "8")))
        for who in people
    ]
    truth = {}
    end = time.monotonic() + 30
    while len(truth) < len(people) and time.monotonic() < end:
        for each in lab.stack.read("entries", "list", "--container", web):
            with suppress(OSError):
                environment = Path(f"/proc/{each['process']['pid']}/environ").read_bytes().split(b"\0")
                truth[each["id"]] = next(
                    word[4:].decode() for word in environment if word.startswith(b"WHO=")
                )
    assert [each.wait(60) for each in running] == [0] * len(people)
    assert len(truth) == len(people)
    told = {each["id"]: each["principal"] for each in lab.entries(web, len(people))}
    assert {entry: who["name"] for entry, who in told.items()} == truth, told
    assert {who["confidence"] for who in told.values()} == {"exact"}, told


def test_nsenter_is_by_the_login_of_who_ran_it_and_su_changes_nothing(lab):
    web, _ = lab.web()
    pid = lab.dockerd.init_pid(web)
    lab.sshd.run("root", f"nsenter -t {pid} -a id; sleep 0.5")
    lab.sshd.run("root", f"su -s /bin/sh root -c 'nsenter -t {pid} -a ls; sleep 0.5'")
    plain, switched = sorted(lab.entries(web, 2), key=lambda each: each["time_ns"])
    assert (plain["principal"]["name"], plain["principal"]["confidence"]) == ("root", "exact")
    assert plain["principal"]["source"].startswith("127.0.0.1:")
    assert (switched["principal"]["uid"], switched["principal"]["via"]) == (0, ["su"])
    assert switched["sentence"].startswith("root (ssh from 127.0.0.1, su) on ")


def test_su_to_another_account_is_still_by_the_login(lab):
    web, name = lab.web()
    lab.sshd.run("root", f"su {JANE} -c {shlex.quote(lab.docker('exec', name, 'id'))}")
    who = lab.entries(web)[0]["principal"]
    assert (who["name"], who["uid"], who["via"]) == ("root", 0, ["su"])
    assert f"it ran as {JANE}" in who["evidence"]


def test_what_a_terminal_multiplexer_kept_says_that_its_login_has_ended(lab):
    web, name = lab.web()
    command = lab.docker("exec", name, "id")
    lab.sshd.run(JANE, f"tmux -S ~/kept new-session -d {shlex.quote(f'sleep 3; {command}')}")
    who = lab.entries(web)[0]["principal"]
    assert (who["name"], who["source"], who["via"]) == (JANE, None, ["tmux"])
    assert (who["confidence"], "that login has ended" in who["reason"]) == ("strong", True), who


def test_podman_exec_is_by_the_person_whose_podman_waits_for_it(lab):
    ground = Ground(lab.dockerd, lab.undo)
    podman = ground.once("engine", engine)
    line = [*podman, "--runtime", "runc", "run", "-d", "--net=none", "localhost/busybox:test", "sleep", "600"]
    made = subprocess.run(line, check=True, capture_output=True, text=True).stdout.strip()
    lab.sshd.run("root", shlex.join([*podman, "exec", made, "sleep", "0.5"]))
    who = lab.entries(made)[0]["principal"]
    assert (who["kind"], who["name"], who["confidence"]) == ("person", "root", "exact"), who
    assert who["source"].startswith("127.0.0.1:")
    assert who["evidence"][0].startswith("podman (pid ")


def test_a_client_inside_a_container_is_that_container(lab):
    web, name = lab.web()
    there = ["-v", "/:/host", "-v", f"{lab.dockerd.socket}:{lab.dockerd.socket}", "--network=host"]
    ci, ci_name = lab.web(*there)
    inside = shlex.split(lab.docker("exec", name, "id"))
    lab.dockerd.exec(ci, "chroot", "/host", *inside)
    who = lab.entries(web)[0]["principal"]
    assert (who["kind"], who["name"], who["confidence"] in SURE) == ("container", ci_name, True), who
    assert lab.entries(web)[0]["sentence"].startswith(f"container {ci_name} on ")


def test_a_service_is_no_person(lab):
    web, name = lab.web()
    root = Path("/sys/fs/cgroup/unified")
    slice_ = (root if root.is_dir() else root.parent) / "system.slice"
    cgroup = slice_ / "nsentry-backup.service"
    cgroup.mkdir(parents=True)
    try:
        script = f"echo $$ > {cgroup}/cgroup.procs && exec {lab.docker('exec', name, 'id')}"
        subprocess.run(["sh", "-c", script], check=True, stdout=subprocess.DEVNULL)
        who = lab.entries(web)[0]["principal"]
    finally:
        cgroup.rmdir()
        with suppress(OSError):
            slice_.rmdir()
    assert (who["kind"], who["name"]) == ("service", "nsentry-backup.service")


def test_a_visit_before_which_the_sensor_was_not_there_is_named_by_who_is_still_connected(lab):
    web, name = lab.web()
    line = lab.sshd.line(JANE, lab.docker("exec", name, "sleep", "25"))
    before = subprocess.Popen(line)
    end = time.monotonic() + 30
    while "sleep 25" not in lab.dockerd.docker("top", web):
        assert time.monotonic() < end
    with ExitStack() as undo:
        other = Stack(lab.stack.root.parent / "later", lab.stack.port + 1, (Path(lab.dockerd.socket),))
        other.start(undo)
        found = []
        while not found:
            assert time.monotonic() < end + 30
            found = other.read("entries", "list", "--container", web)
    assert (found[0]["witnessed"], found[0]["principal"]["name"]) == (False, JANE)
    assert before.wait(60) == 0


def test_nobody_is_named_where_nobody_logged_in(lab):
    if Path("/proc/self/loginuid").read_text().strip() != "4294967295":
        pytest.fail("these tests were started from a login: their own visits would be somebody's")
    web, _ = lab.web()
    lab.dockerd.exec(web, "id")
    who = lab.entries(web)[0]["principal"]
    assert (who["kind"], who["name"], who["confidence"]) == ("unknown", None, "none")
    assert "descends from no login" in who["reason"], os.getuid()
