# SPDX-License-Identifier: Apache-2.0
"""Reads what the kernel hands over, by `layout`. What does not fit it is Undecodable, never guessed."""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import accumulate, pairwise
from typing import Any, Final

from sensor.probe.layout import (
    ANCESTOR,
    ANCESTORS,
    EXEC_SIZES,
    EXEC_TASK,
    EXEC_TEXTS,
    EXIT_SIZE,
    FACTS,
    FORK_SIZE,
    HEAD,
    NS,
    REACHED_BY,
    REACHED_SIZES,
    REACHED_TASK,
    REACHED_TEXTS,
    SETNS_SIZES,
    SETNS_TASK,
    SETNS_TEXTS,
    TICK,
    Exec,
    Exit,
    Facts,
    Flag,
    Fork,
    Head,
    How,
    KernelEvent,
    Kind,
    NsSet,
    Reached,
    Setns,
    Step,
)


class Undecodable(ValueError):  # noqa: N818 - like wire.Malformed
    """The bytes are none of the layout: object and agent are of different versions."""


def text(raw: bytes) -> str:
    """`raw` as text; bytes that are not UTF-8 become visible backslash escapes."""
    return raw.decode("utf-8", "backslashreplace")


def _name(raw: bytes) -> str:
    return text(raw.split(b"\0", 1)[0])


def read_head(data: bytes) -> Head:
    """What every event begins with."""
    kind, flags, time, cookie, start, *ids = HEAD.unpack_from(data)
    return Head(Kind(kind), Flag(flags), time, cookie, start // TICK * TICK, *ids)


def _namespaces(data: bytes, offset: int) -> NsSet:
    return NsSet._make(NS.unpack_from(data, offset))


def read_facts(data: bytes, offset: int) -> Facts:
    """Struct task_facts at an offset."""
    *numbers, comm, cgroup, parent = FACTS.unpack_from(data, offset)
    rest: list[Any] = [*numbers[10:], *map(_name, (comm, cgroup, parent))]
    return Facts(NsSet._make(numbers[:10]), *rest)


def _step(data: bytes, offset: int) -> Step:
    start, *ids, comm = ANCESTOR.unpack_from(data, offset)
    rest: list[Any] = [start // TICK * TICK, *ids, _name(comm)]
    return Step(*rest)


def read_ancestry(data: bytes, offset: int) -> tuple[Step, ...]:
    """Struct ancestry at an offset."""
    length = min(struct.unpack_from("=I", data, offset)[0], ANCESTORS)
    return tuple(_step(data, offset + 8 + i * ANCESTOR.size) for i in range(length))


def _path(raw: bytes) -> str:
    """Names leaf first, each ended by NUL, to the path from the root."""
    names = raw.split(b"\0")[:-1]
    return text(b"/" + b"/".join(reversed(names)))


def texts_in(data: bytes, at: int, *lengths: int) -> list[bytes]:
    """The texts at an event's end, each as long as its length says. Raises Undecodable."""
    if at + sum(lengths) > len(data):
        raise Undecodable("the lengths in an event point beyond it")
    return [data[begin:end] for begin, end in pairwise(accumulate(lengths, initial=at))]


def argv_in(raw: bytes, head: Head) -> list[str] | None:
    """A command line; None where it could not be read."""
    if Flag.ARGV_FAULT in head.flags or not raw:
        return None
    return [text(argument) for argument in raw.removesuffix(b"\0").split(b"\0")]


def exe_in(raw: bytes, head: Head) -> str | None:
    """The path of an executable; None where it is not known whole."""
    # The lower part of a deep path is that of another file: /a/.../bin/ls is not /bin/ls.
    return _path(raw) if raw and Flag.EXE_CUT not in head.flags else None


def _setns(data: bytes) -> Setns:
    head = read_head(data)
    at = HEAD.size
    (previous,) = struct.unpack_from("=Q", data, at)
    home, joined = _namespaces(data, at + 8), _namespaces(data, at + 8 + NS.size)
    exe_len, argv_len, _, runtime_pid, runtime_len, _ = SETNS_SIZES.unpack_from(data, at + 8 + 2 * NS.size)
    exe, argv, runtime = texts_in(data, SETNS_TEXTS, exe_len, argv_len, runtime_len)
    return Setns(
        head,
        previous,
        home,
        joined,
        read_facts(data, SETNS_TASK),
        read_ancestry(data, SETNS_TASK + FACTS.size),
        exe=exe_in(exe, head),
        argv=argv_in(argv, head),
        runtime_pid=runtime_pid or None,
        runtime_argv=[text(argument) for argument in runtime.removesuffix(b"\0").split(b"\0")]
        if runtime
        else None,
    )


def _fork(data: bytes) -> Fork:
    return Fork(read_head(data), struct.unpack_from("=I", data, HEAD.size)[0])


def _exit(data: bytes) -> Exit:
    status, calls = struct.unpack_from("=2I", data, HEAD.size)
    both = (_namespaces(data, HEAD.size + 8 + index * NS.size) for index in (0, 1))
    return Exit(read_head(data), status, calls, *both)


def _reached(data: bytes) -> Reached:
    how, mnt, target, _ = struct.unpack_from("=4I", data, HEAD.size)
    if how not in tuple(How):
        raise Undecodable(f"unknown way to reach a container {how}")
    head = read_head(data)
    exe_len, argv_len, _ = REACHED_SIZES.unpack_from(data, REACHED_BY + ANCESTOR.size)
    exe, argv = texts_in(data, REACHED_TEXTS, exe_len, argv_len)
    return Reached(
        head,
        How(how),
        mnt,
        target,
        _step(data, REACHED_BY),
        read_facts(data, REACHED_TASK),
        read_ancestry(data, REACHED_TASK + FACTS.size),
        exe=exe_in(exe, head),
        argv=argv_in(argv, head),
    )


def _exec(data: bytes) -> Exec:
    head = read_head(data)
    at = HEAD.size
    home, joined, parent = (_namespaces(data, at + i * NS.size) for i in range(3))
    *lengths, total, exe_mnt, cwd_mnt = EXEC_SIZES.unpack_from(data, at + 3 * NS.size)
    exe, cwd, filename, argv = texts_in(data, EXEC_TEXTS, *lengths)
    return Exec(
        head,
        home,
        joined,
        parent,
        read_facts(data, EXEC_TASK),
        read_ancestry(data, EXEC_TASK + FACTS.size),
        exe=exe_in(exe, head),
        # No component at all is the task's root; the kernel always knows a working directory.
        cwd=None if Flag.CWD_CUT in head.flags else _path(cwd),
        filename=text(filename) if filename else None,
        argv=argv_in(argv, head),
        argv_cut=total > len(argv),
        exe_mnt=exe_mnt,
        cwd_mnt=cwd_mnt,
    )


_DECODERS: Final[dict[Kind, tuple[int, Callable[[bytes], KernelEvent]]]] = {
    Kind.SETNS: (SETNS_TEXTS, _setns),
    Kind.FORK: (FORK_SIZE, _fork),
    Kind.EXEC: (EXEC_TEXTS, _exec),
    Kind.EXIT: (EXIT_SIZE, _exit),
    Kind.REACHED: (REACHED_TEXTS, _reached),
}


def decode(data: bytes) -> KernelEvent:
    """The event that one record of the ring holds. Raises Undecodable."""
    if len(data) < HEAD.size:
        raise Undecodable(f"{len(data)} bytes are shorter than an event's head")
    kind = int.from_bytes(data[:4], "little" if struct.pack("=H", 1)[0] else "big")
    if kind not in _DECODERS:
        raise Undecodable(f"unknown kind of event {kind}")
    size, decoder = _DECODERS[Kind(kind)]
    if len(data) < size:
        raise Undecodable(f"{Kind(kind).name} of {len(data)} bytes, {size} expected")
    return decoder(data)
