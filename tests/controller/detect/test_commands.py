# SPDX-License-Identifier: Apache-2.0
"""What a process runs is read as a shell and a busybox would read it, and never beyond the bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.detect.commands import MAX_INVOCATIONS, invocations, itself, shell_use


def programs(exe, argv, filename=None):
    process = {"exe": exe, "filename": filename, "argv": argv}
    return [each.program for each in invocations({"process": process})]


@pytest.mark.parametrize(
    ("exe", "argv", "expected"),
    [
        ("/usr/bin/curl", ["curl", "x"], ["curl"]),
        ("/usr/bin/curl (deleted)", None, ["curl"]),
        ("/bin/busybox", ["wget", "http://x"], ["wget"]),
        ("/bin/busybox", ["/bin/busybox", "nc", "-l"], ["nc"]),
        ("/bin/busybox", ["busybox", "--list"], []),
        ("/bin/busybox", ["cat", "/etc/curl"], ["cat"]),
        ("/bin/bash", ["-bash"], ["bash"]),
        ("/usr/bin/python3.11", ["python3"], ["python"]),
        ("/bin/nc.openbsd", ["nc"], ["nc"]),
        ("/data/x", ["wget"], ["x", "wget"]),
    ],
)
def test_a_process_goes_by_its_file_its_path_and_the_applet_it_plays(exe, argv, expected):
    """A busybox is what argv[0] or its first argument says; versions and "(deleted)" do not count."""
    assert programs(exe, argv) == expected


def test_a_busybox_without_a_command_line_goes_by_the_path_that_was_executed():
    """The path keeps the link's name, the file does not."""
    assert programs("/bin/busybox", None, "/bin/sh") == ["sh"]


def test_a_path_that_names_no_file_is_no_name():
    """Busybox's shell starts its applets from /proc/self/exe, and a sealed copy has the name of a memfd."""
    assert programs("/bin/busybox", ["cat", "/x"], "/proc/self/exe") == ["cat"]
    assert programs("/memfd:x (deleted)", ["x"], "/dev/fd/3") == ["x"]


def test_nothing_known_is_nothing_run():
    assert programs(None, None) == []
    assert invocations({"kind": "attempt"}) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id; uname -a && cat /x | tee y", ["id", "uname", "cat", "tee"]),
        ("A=1 curl x", ["curl"]),
        ("if true; then wget x; fi", ["true", "wget", "fi"]),
        ('echo "$(cat /etc/shadow)" `nc c 1`', ["echo", "cat", "nc"]),
        ("sudo -u app timeout 5 curl x", ["sudo", "timeout", "curl"]),
        ("find / -name x -exec cat {} \\;", ["find", "cat"]),
        ("ls | xargs -n 1 rm", ["ls", "xargs", "rm"]),
        ("su - app -c 'id -u'", ["su", "id"]),
        ("eval 'curl x'", ["eval", "curl"]),
        ("sh -c \"sh -c 'nc x'\"", ["sh", "nc"]),
        ("# curl x\nid", ["id"]),
        ("echo 'never closed; curl x", ["echo", "curl"]),
        ("curl http://x/#;part", ["curl", "part"]),
    ],
)
def test_the_string_of_a_shell_is_split_as_a_shell_splits_it(text, expected):
    """Operators, assignments, substitutions, wrappers and nested shells; a broken quote hides nothing."""
    found = programs(None, ["sh", "-c", text])
    assert found[0] == "sh"
    assert [each for each in found[1:] if each != "sh"] == [each for each in expected if each != "sh"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "stdin"),
        (["-il"], "stdin"),
        (["--login"], "stdin"),
        (["-c", "ls"], "command"),
        (["-o", "pipefail", "-ec", "ls"], "command"),
        (["--rcfile", "/x", "-c", "ls"], "command"),
        (["+x", "-c", "ls"], "command"),
        (["/app/run.sh"], "script"),
        (["-e", "/app/run.sh", "-c"], "script"),
        (["--", "-c"], "script"),
    ],
)
def test_a_shell_takes_its_commands_from_a_string_a_script_or_a_person(arguments, expected):
    assert shell_use(arguments) == expected


def test_itself_is_only_the_process_not_what_it_is_told_to_run():
    process = {"exe": "/bin/dash", "filename": "/bin/sh", "argv": ["sh", "-c", "curl x"]}
    assert [each.program for each in itself({"process": process})] == ["dash", "sh"]


def test_a_bomb_of_nested_strings_is_cut_off():
    """Neither depth nor number of commands costs more than the bounds."""
    assert len(programs("/bin/sh", ["sh", "-c", ";".join(f"a{n} x" for n in range(1000))])) == MAX_INVOCATIONS
    assert programs("/bin/sh", ["sh", "-c", "$(" * 2000 + "id" + ")" * 2000])[0] == "sh"


@given(
    st.one_of(st.none(), st.text()),
    st.one_of(st.none(), st.lists(st.text(), max_size=8)),
    st.sampled_from(["sh", "busybox", "env", "sudo", "find", "su"]),
)
def test_any_text_is_read_without_failing(exe, argv, first):
    """Command lines come from whoever is inside."""
    for line in (argv, [first, *(argv or [])], [first, "-c", *(argv or [])]):
        assert len(programs(exe, line)) <= MAX_INVOCATIONS
