# SPDX-License-Identifier: Apache-2.0
"""Kernel events kept in a file, as the ring gave them, with the containers that were known: to be put through again.

A file is a stream of msgpack arrays: a head, then events and containers in the order in which they came. What a
program was given as arguments stands in it unredacted, so it is readable by its owner alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import msgpack

from sensor.enrich.known import Known
from sensor.fault import ExitCode, Fault
from sensor.probe.contacts import is_contact
from sensor.probe.decoding import Undecodable, decode
from sensor.probe.flows import is_flow
from sensor.probe.layout import EXEC_TEXTS, EXEC_TEXTS_LEN, KernelEvent
from sensor.probe.signals import is_signal
from sensor.wire import Container

VERSION: Final = 3
_HEAD, _EVENT, _CONTAINER = range(3)
Part = KernelEvent | Known
_LARGEST: Final = EXEC_TEXTS + EXEC_TEXTS_LEN


@dataclass(frozen=True, slots=True)
class Head:
    """What the whole recording needs: the host's namespaces, and its clock at boot (ns since the epoch)."""

    host: dict[str, int]
    booted: int


class Recorder:
    """Writes a recording."""

    def __init__(self, path: Path, head: Head) -> None:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file: BinaryIO = os.fdopen(handle, "wb")
        self._write([_HEAD, VERSION, head.host, head.booted])

    def event(self, raw: bytes) -> None:
        """One record of the ring."""
        self._write([_EVENT, raw])

    def container(self, known: Known) -> None:
        """A container from now on, as it was known."""
        container = known.container
        self._write([_CONTAINER, known.id, known.init_pid, known.init_start, known.namespaces, container])

    def _write(self, part: list[Any]) -> None:
        self._file.write(msgpack.packb(part))

    def close(self) -> None:
        """Bring it to the disk."""
        self._file.close()


def read(path: Path) -> tuple[Head, Iterator[Part]]:
    """The head, and what follows it. Raises Fault, also while it is iterated: the file may be anybody's."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _bad(path, str(error)) from error
    parts = msgpack.Unpacker(raw=False, max_buffer_size=0, max_bin_len=_LARGEST, max_str_len=4096)
    parts.feed(data)
    try:
        first = next(parts, None)
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise _bad(path, str(error) or "it is no recording") from error
    match first:
        case [0, 3, {"mnt": int()} as host, int(booted)] if _inodes(host):
            return Head(host, booted), _rest(path, parts)
    raise _bad(path, f"it does not begin as a recording of version {VERSION}")


def _inodes(namespaces: dict[Any, Any]) -> bool:
    return all(isinstance(kind, str) and isinstance(inum, int) for kind, inum in namespaces.items())


def _rest(path: Path, parts: Iterator[Any]) -> Iterator[Part]:
    try:
        for part in parts:
            match part:
                case [1, bytes(raw)]:
                    if not (is_signal(raw) or is_contact(raw) or is_flow(raw)):
                        yield decode(raw)
                case [2, str(name), int(pid), int(start), dict(namespaces), dict(container)]:
                    yield _known(name, pid, start, namespaces, container)
                case _:
                    raise _bad(path, "a part of it is neither an event nor a container")
    except (Undecodable, ValueError, KeyError, TypeError, msgpack.exceptions.UnpackException) as error:
        raise _bad(path, str(error)) from error


def _known(name: str, pid: int, start: int, namespaces: dict[str, int], container: dict[str, Any]) -> Known:
    known = Known(name, pid, start, namespaces, container["runtime"], container["caps"])
    known.remember(cast("Container", container))  # of our own writing, or its owner's
    return known


def _bad(path: Path, why: str) -> Fault:
    return Fault(
        f"{path} cannot be replayed: {why}",
        exit_code=ExitCode.FAILURE,
        fix="make one with nsentry-sensor run --record FILE",
    )
