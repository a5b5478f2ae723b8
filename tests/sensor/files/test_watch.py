# SPDX-License-Identifier: Apache-2.0
"""Real files, really written: each change is told once, by whom where the kernel says, also from before a restart."""

from __future__ import annotations

import itertools
import json
import subprocess
import time

import pytest

from sensor.files import places
from sensor.files.touches import events
from sensor.files.watch import Files
from sensor.wire.redact import Redactor

PATIENCE_S = 60.0


class Host:
    """A folder that stands for a host's."""

    def __init__(self, folder):
        self.folder = folder
        self.docker = folder / "docker"
        self.docker.mkdir()
        self.daemon = self.docker / "daemon.json"
        self.manifests = folder / "manifests"
        self.told = []
        self.counted = []
        self._numbers = itertools.count(1)

    def watch(self, *paths):
        made = Files(
            paths or (self.daemon, self.manifests),
            self.folder / "files.json",
            Redactor().text,
            lambda: f"h/b/{next(self._numbers)}",
            self.told.append,
            lambda step, told, exe, argv: {"pid": step.pid, "argv": argv},
            self.counted.append,
        )
        made.open()
        return made

    def of(self, path):
        return [each for each in self.told if each["path"] == str(path)]

    def until(self, files, path, count=1):
        end = time.monotonic() + PATIENCE_S
        while len(self.of(path)) < count:
            assert time.monotonic() < end, self.told
            files.turn()
            time.sleep(0.02)
        return self.of(path)[-1]


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def test_what_is_there_when_it_begins_is_no_news_and_a_change_is_told_with_what_differs(host):
    host.daemon.write_text('{\n  "log-level": "info"\n}\n')
    files = host.watch()
    try:
        assert host.of(host.daemon) == []
        host.daemon.write_text('{\n  "hosts": ["tcp://0.0.0.0:2375"],\n  "log-level": "info"\n}\n')
        event = host.until(files, host.daemon)
    finally:
        files.close()
    assert event["runtime"] == "docker"
    assert '+  "hosts": ["tcp://0.0.0.0:2375"],' in event["difference"]
    assert event["before"]["digest"] != event["after"]["digest"]
    assert event["unwatched"] is False


@pytest.mark.kernel
def test_who_writes_is_told_by_the_kernel(host):
    host.daemon.write_text("{}")
    files = host.watch()
    try:
        if files.touches.refused:
            pytest.fail(f"this machine does not let root ask for it: {files.touches.refused}")
        line = f"echo '{{ }}' > {host.daemon}; sleep 2"
        writing = subprocess.Popen(["sh", "-c", line])
        event = host.until(files, host.daemon)
        assert writing.wait(60) == 0
    finally:
        files.close()
    assert event["caller"] == {"pid": writing.pid, "argv": ["sh", "-c", line]}
    assert event["caller_unknown"] is None


def test_one_that_appears_and_goes_in_a_folder_that_was_not_there_is_told(host):
    files = host.watch()
    try:
        host.manifests.mkdir()
        pod = host.manifests / "web.yaml"
        pod.write_text("kind: Pod\n")
        appeared = host.until(files, pod)
        pod.unlink()
        gone = host.until(files, pod, 2)
    finally:
        files.close()
    assert (appeared["before"], appeared["difference"]) == (None, ["@@ -0,0 +1 @@", "+kind: Pod"])
    assert (gone["after"], gone["difference"]) == (None, ["@@ -1 +0,0 @@", "-kind: Pod"])


def test_what_changed_while_no_sensor_ran_is_told_by_the_next_one_once(host):
    host.daemon.write_text('{"a": 1}')
    host.watch().close()
    host.daemon.write_text('{"a": 2}')
    host.manifests.mkdir()
    (host.manifests / "new.yaml").write_text("kind: Pod")
    host.watch().close()
    event, new = host.of(host.daemon)[-1], host.of(host.manifests / "new.yaml")[-1]
    assert (event["unwatched"], event["caller"]) == (True, None)
    assert event["difference"] == ["@@ -1 +1 @@", '-{"a": 1}', '+{"a": 2}']
    assert (new["unwatched"], new["before"]) == (True, None)
    told = len(host.told)
    host.watch().close()
    assert len(host.told) == told


def test_a_place_that_is_watched_for_the_first_time_is_no_news(host):
    host.watch(host.daemon).close()
    host.manifests.mkdir()
    (host.manifests / "old.yaml").write_text("kind: Pod")
    host.watch(host.daemon, host.manifests).close()
    assert host.of(host.manifests / "old.yaml") == []


def test_who_may_write_it_is_a_change_and_a_new_date_is_none(host):
    host.daemon.write_text("{}")
    host.daemon.chmod(0o644)
    files = host.watch()
    try:
        host.daemon.touch()
        host.daemon.chmod(0o666)
        event = host.until(files, host.daemon)
    finally:
        files.close()
    assert (event["before"]["mode"], event["after"]["mode"], event["difference"]) == (0o644, 0o666, [])
    assert len(host.of(host.daemon)) == 1


def test_a_secret_is_neither_told_nor_kept(host):
    host.daemon.write_text('{\n"token": "hunter2one"\n}')
    files = host.watch()
    try:
        host.daemon.write_text('{\n"token": "hunter2two"\n}')
        event = host.until(files, host.daemon)
    finally:
        files.close()
    assert event["difference"] == []
    assert "hunter2" not in json.dumps(host.told) + (host.folder / "files.json").read_text()
    assert (host.folder / "files.json").stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_read_of_before_is_counted_and_begun_anew(host):
    host.daemon.write_text("{}")
    for kept in (
        "",
        "[]",
        '{"files": {"a": 1}, "places": []}',
        '{"files": {"a": {"state": {}, "lines": []}}}',
    ):
        (host.folder / "files.json").write_text(kept)
        host.watch().close()
    assert host.counted.count("files.forgotten") == 4
    assert host.told == []


@pytest.mark.parametrize(
    ("path", "runtime"),
    [
        ("/etc/docker/daemon.json", "docker"),
        ("/etc/systemd/system/docker.service.d/x.conf", "docker"),
        ("/etc/containers/registries.conf.d/x.conf", "podman"),
        ("/etc/kubernetes/manifests/web.yaml", "kubelet"),
        ("/srv/containerd/config.toml", "containerd"),
        ("/srv/x", "other"),
    ],
)
def test_a_file_is_of_a_runtime(path, runtime):
    assert places.runtime_of(path) == runtime


def test_no_bytes_of_the_kernel_do_anything_but_end():
    for size in range(80):
        list(events(b"\xff" * size))
        list(events(b"\0" * size))
