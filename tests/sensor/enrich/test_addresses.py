# SPDX-License-Identifier: Apache-2.0
"""A container's addresses are those that the kernel keeps for its network namespace, bounded, whatever stands there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.enrich import addresses
from sensor.wire import MAX_ADDRESSES
from tests.kernel.room import WAIT_S

TRIE = b"""Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 172.17.0.0/16 2 0 2
        |-- 172.17.0.0
           /16 link UNICAST
        |-- 172.17.0.2
           /32 link UNICAST
           /32 host LOCAL
        |-- 172.17.255.255
           /32 link BROADCAST
     |-- 127.0.0.1
        /32 host LOCAL
Local:
     |-- 172.17.0.2
        /32 host LOCAL
     |-- 999.1.1.1
        /32 host LOCAL
"""
SIX = b"""fd000000000000000000000000000002 04 40 00 82     eth0
fe8000000000000000fc00fffe000001 04 40 20 80     eth0
00000000000000000000000000000001 01 80 10 80       lo
"""


def test_those_of_the_loopback_and_the_link_and_broadcasts_are_none():
    assert {str(each) for each in addresses.parsed_four(TRIE)} == {"172.17.0.2"}
    assert {str(each) for each in addresses.parsed_six(SIX)} == {"fd00::2"}


@given(st.binary(max_size=2000))
def test_any_text_is_read(text):
    addresses.parsed_four(text)
    addresses.parsed_six(text)


def test_more_than_are_told_are_cut_in_an_order_that_stays(tmp_path):
    net = tmp_path / "7" / "net"
    net.mkdir(parents=True)
    lines = (f"|-- 10.0.{number}.1\n   /32 host LOCAL\n" for number in range(200))
    (net / "fib_trie").write_text("".join(lines))
    found = addresses.of_process(7, tmp_path)
    assert found == [f"10.0.{number}.1" for number in range(MAX_ADDRESSES)]
    assert addresses.of_process(8, tmp_path) is None


@pytest.mark.kernel
def test_the_kernels_own_word_on_a_namespace_is_understood():
    """Also before anything answers there: nothing is asked of a network."""
    script = (
        "ip link set lo up; ip a add 192.0.2.5/32 dev lo; ip -6 a add 2001:db8::5/128 dev lo; echo up; read x"
    )
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as shell:
        assert shell.stdout is not None
        assert shell.stdout.readline() == "up\n"
        assert addresses.of_process(shell.pid, Path("/proc")) == ["192.0.2.5", "2001:db8::5"]
        shell.communicate("\n", timeout=WAIT_S)
