# SPDX-License-Identifier: Apache-2.0
"""What a client's command line says: never that it is there for something else, unless that is certain."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.detect.client_line import Exec, read, says
from tests.controller import make


def entry(*argv, container=None, **process):
    made = make.entry(means="docker-exec", container=make.container(**(container or {})), exec_id="e1")
    return {**made, "process": make.process(1000, *argv, **process)}


@pytest.mark.parametrize(
    ("line", "container", "command"),
    [
        ("docker exec web id", "web", "id"),
        (
            "/usr/bin/docker -H unix:///x/docker.sock exec -it -u root web sh -c 'id; id'",
            "web",
            "sh -c 'id; id'",
        ),
        ("docker --context x container exec --env A=b -w/ web env", "web", "env"),
        ("docker exec -iteA=b web env", "web", "env"),
        ("docker exec -- web id -t", "web", "id -t"),
        ("podman --root /r exec web id", "web", "id"),
        ("nerdctl -n k8s.io exec web id", "web", "id"),
        ("crictl -r unix:///x exec -it 0123 sh", "0123", "sh"),
        ("ctr -n moby t exec --exec-id x web id", "web", "id"),
        ("ctr tasks exec -exec-id=x web id", "web", "id"),
        ("/usr/libexec/docker/cli-plugins/docker-compose compose -f a.yml exec -T web id", "web", "id"),
        ("/usr/bin/python3 /usr/local/bin/docker-compose -f a.yml exec -T web id", "web", "id"),
    ],
)
def test_an_exec_is_read_out_of_a_command_line(line, container, command):
    found = read(shlex.split(line))
    assert isinstance(found, Exec)
    assert (found.container, found.command) == (container, tuple(shlex.split(command)))


@pytest.mark.parametrize("line", ["docker run -it busybox sh", "docker events", "podman ps", "ctr images ls"])
def test_a_command_that_makes_no_exec_is_for_something_else(line):
    assert read(shlex.split(line)) == "else"


@pytest.mark.parametrize(
    "line",
    [
        "curl --unix-socket /run/docker.sock http://x/containers/web/exec",
        "docker --some-new-option exec web id",
        "docker exec --some-new-option 7 web id",
        "docker system dial-stdio",
        "docker compose up",
        "podman exec --latest id",
        "docker",
        "docker exec",
        "",
    ],
)
def test_what_is_not_certain_says_nothing(line):
    assert read(shlex.split(line)) is None


def test_it_names_the_exec_by_name_id_or_the_beginning_of_one():
    for named in ("web", "/web", make.CONTAINER, make.CONTAINER[:12]):
        assert says(["docker", "exec", named, "id"], entry("id")) == "names"


@pytest.mark.parametrize(
    "line", ["docker exec db id", "docker exec web ls", "docker exec -t web id", "docker exec web id -u"]
)
def test_another_container_command_or_terminal_is_something_else(line):
    assert says(shlex.split(line), entry("id")) == "else"


def test_a_container_whose_name_is_not_known_yet_could_be_the_one_that_is_named():
    assert says(["docker", "exec", "web", "id"], entry("id", container={"name": None})) == "nothing"


def test_an_exec_id_decides_alone():
    line = ["ctr", "t", "exec", "--exec-id", "e1", "web", "id"]
    assert says(line, entry("ls")) == "names"
    assert says([*line[:4], "e2", *line[5:]], entry("id")) == "else"


def test_a_secret_that_was_taken_out_and_a_script_stand_in_no_ones_way():
    hidden = entry("login", "--password=***")
    assert says(["docker", "exec", "web", "login", "--password=x"], hidden) == "names"
    script = entry("/bin/sh", "/usr/bin/backup", "now", filename="/usr/bin/backup")
    assert says(["docker", "exec", "web", "backup", "now"], script) == "names"


def test_of_a_line_that_was_cut_the_beginning_counts():
    long = ["x" * 100] * 40
    kept = ["docker", "exec", "web", *long]
    while sum(map(len, kept)) + len(kept) > 2048:
        kept.pop()
    assert says([*kept, "x" * 60], entry(*long)) == "names"


@given(st.lists(st.text(max_size=12), max_size=8))
def test_no_command_line_breaks_it(argv):
    assert says(argv, entry("id")) in {"names", "else", "nothing"}
