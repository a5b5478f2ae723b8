# SPDX-License-Identifier: Apache-2.0
"""bpf/event.h and sensor/probe/layout.py say the same of every event."""

from __future__ import annotations

import contextlib
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.probe import BPF_SOURCES, contacts, decoding, flows, layout, ordinary, signals
from sensor.probe.counters import COUNTERS

PROGRAM = """
#include <stddef.h>
#include <stdio.h>
#include <linux/types.h>
#include "event.h"
#define P(name, value) printf(name " %zu\\n", (size_t)(value))
int main(void) {
    P("HEAD", sizeof(struct event_head)); P("NS", sizeof(struct ns_set));
    P("FACTS", sizeof(struct task_facts));
    P("ANCESTOR", sizeof(struct ancestor)); P("ANCESTRY", sizeof(struct ancestry));
    P("FORK", sizeof(struct event_fork));
    P("EXIT", sizeof(struct event_exit));
    P("SIGNAL", sizeof(struct event_signal)); P("SIGNAL_TASK", offsetof(struct event_signal, task));
    P("SETNS_TASK", offsetof(struct event_setns, task)); P("SETNS_TEXTS", offsetof(struct event_setns, texts));
    P("SETNS_TEXTS_LEN", SETNS_TEXTS_LEN); P("EXEC_TEXTS_LEN", EXEC_TEXTS_LEN);
    P("EXEC_TASK", offsetof(struct event_exec, task)); P("EXEC_TEXTS", offsetof(struct event_exec, texts));
    P("MARK", sizeof(struct mark)); P("BUDGET", sizeof(struct budget));
    P("COUNTERS", COUNTERS);
    P("REACHED_TEXTS", offsetof(struct event_reached, texts)); P("REACHED_BY", offsetof(struct event_reached, by));
    P("FLOW", sizeof(struct event_flow));
    P("LISTENING", sizeof(struct listening)); P("CONTACT_TASK", offsetof(struct event_contact, task));
    P("CONTACT_TEXTS", offsetof(struct event_contact, texts));
    P("ORDINARY_KEY", sizeof(struct ordinary_key));
    P("ORDINARY_TEXTS", offsetof(struct event_ordinary, texts));
    return 0;
}
"""


@pytest.mark.kernel
def test_the_compiler_and_the_decoder_agree_on_every_size_and_offset(tmp_path: Path) -> None:
    (tmp_path / "sizes.c").write_text(PROGRAM)
    binary = tmp_path / "sizes"
    subprocess.run(["clang", f"-I{BPF_SOURCES}", "-o", binary, tmp_path / "sizes.c"], check=True)
    printed = subprocess.run([binary], capture_output=True, text=True, check=True).stdout
    sizes = {name: int(value) for name, value in (line.split() for line in printed.splitlines())}
    assert sizes == {
        "HEAD": layout.HEAD.size,
        "NS": layout.NS.size,
        "FACTS": layout.FACTS.size,
        "ANCESTOR": layout.ANCESTOR.size,
        "ANCESTRY": layout.ANCESTRY_SIZE,
        "SETNS_TASK": layout.SETNS_TASK,
        "SETNS_TEXTS": layout.SETNS_TEXTS,
        "SETNS_TEXTS_LEN": layout.SETNS_TEXTS_LEN,
        "FORK": layout.FORK_SIZE,
        "EXIT": layout.EXIT_SIZE,
        "SIGNAL": signals.SIGNAL_SIZE,
        "SIGNAL_TASK": signals.SIGNAL_TASK,
        "MARK": layout.MARK.size,
        "BUDGET": layout.BUDGET.size,
        "EXEC_TASK": layout.EXEC_TASK,
        "EXEC_TEXTS": layout.EXEC_TEXTS,
        "EXEC_TEXTS_LEN": layout.EXEC_TEXTS_LEN,
        "COUNTERS": len(COUNTERS),
        "REACHED_TEXTS": layout.REACHED_TEXTS,
        "REACHED_BY": layout.REACHED_BY,
        "FLOW": flows.FLOW_SIZE,
        "LISTENING": contacts.LISTENING.size,
        "CONTACT_TASK": contacts.CONTACT_TASK,
        "CONTACT_TEXTS": contacts.CONTACT_TEXTS,
        "ORDINARY_KEY": ordinary.KEY.size,
        "ORDINARY_TEXTS": ordinary.TEXTS,
    }


def test_the_counters_have_the_order_of_the_enum() -> None:
    header = (BPF_SOURCES / "event.h").read_text()
    names = re.findall(r"^\tCOUNT_(\w+),", header, re.MULTILINE)
    assert [name.lower().replace("lost_", "lost.") for name in names] == [
        counter.removeprefix("kernel.") for counter in COUNTERS
    ]


@given(st.binary(max_size=5000))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    with contextlib.suppress(decoding.Undecodable):
        decoding.decode(data)


@given(
    st.sampled_from(list(layout.Kind)), st.binary(min_size=layout.EXEC_TEXTS, max_size=layout.EXEC_TEXTS + 64)
)
def test_a_whole_event_of_hostile_bytes_is_decoded_or_refused(kind: layout.Kind, data: bytes) -> None:
    try:
        event = decoding.decode(kind.to_bytes(4, "little") + data)
    except decoding.Undecodable:
        return
    assert event.head.kind is kind


@given(st.binary(min_size=contacts.CONTACT_TEXTS - 8, max_size=contacts.CONTACT_TEXTS + 64))
def test_a_contact_of_hostile_bytes_is_decoded_or_refused(data: bytes) -> None:
    with contextlib.suppress(decoding.Undecodable):
        assert len(contacts.decode(layout.Kind.CONTACT.to_bytes(4, "little") + data).socket) <= 4 * 112
