# SPDX-License-Identifier: Apache-2.0
"""The far end of an ssh session comes from the socket, whatever the environment says."""

from __future__ import annotations

import socket
import subprocess

import pytest

from sensor.who import ssh


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_the_peer_is_the_far_end_of_the_connection_that_the_process_holds(family, address, monkeypatch):
    monkeypatch.setenv("SSH_CLIENT", "6.6.6.6 1 22")
    with socket.socket(family) as listening, socket.socket(family) as client:
        listening.bind((address, 0))
        listening.listen()
        client.connect(listening.getsockname())
        held, _ = listening.accept()
        with held:
            sshd = subprocess.Popen(["sleep", "60"], stdin=held)
        try:
            host = f"[{address}]" if family == socket.AF_INET6 else address
            assert ssh.peer(sshd.pid) == f"{host}:{client.getsockname()[1]}"
        finally:
            sshd.kill()
            sshd.wait()


def test_a_process_without_a_connection_has_no_peer(tmp_path):
    assert ssh.peer(2**22 + 1) is None
    assert ssh.peer(1, tmp_path) is None


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("0100007F:1F90", "127.0.0.1:8080"),
        ("0500000A:C822", "10.0.0.5:51234"),
        ("0000000000000000FFFF00000500000A:0016", "10.0.0.5:22"),
        ("B80D0120000000000000000005000000:0016", "[2001:db8::5]:22"),
    ],
)
def test_an_end_is_read_as_the_kernel_writes_it(field, shown):
    assert ssh.end_of(field) == shown


@pytest.mark.parametrize("field", ["", "zz:1", "0100:1", "0100007F:x", "0100007F"])
def test_what_is_no_end_is_refused(field):
    with pytest.raises(ValueError, match=r"."):
        ssh.end_of(field)
