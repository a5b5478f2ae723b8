# SPDX-License-Identifier: Apache-2.0
"""Lines in a file, which is rotated by size, or on standard output.

A line is one write to a file opened for appending, so that the command line's test and the controller's own do not
mix. A line that a crash left half done is ended before the next one.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from controller.export.formats import FORMATS
from controller.export.sender import SendError

if TYPE_CHECKING:
    from typing import TextIO

    from controller.export.destination import Destination
    from controller.export.item import Item


class File:
    """Appends; a file that has reached `rotate_bytes` becomes NAME.1, that NAME.2, and so on."""

    def __init__(self, destination: Destination) -> None:
        self._path = Path(destination.address or "")
        self._bytes = destination.rotate_bytes
        self._files = destination.rotate_files
        self._encode = FORMATS[destination.chosen_format]
        self._descriptor: int | None = None

    def send(self, item: Item) -> None:
        """See Sender."""
        data = self._encode(item).encode("utf-8", "backslashreplace") + b"\n"
        try:
            descriptor = self._opened()
            written = os.write(descriptor, data)
        except OSError as error:
            self.close()
            raise SendError(f"{self._path}: {error.strerror}") from error
        if written != len(data):
            self._take_back(written)
            raise SendError(f"{self._path}: the disk is full")

    def _take_back(self, written: int) -> None:
        """Half a line is none; where that fails too, it is ended when the file is opened again."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
        self.close()

    def flush(self) -> None:
        """On the disk."""
        try:
            if self._descriptor is not None:
                os.fsync(self._descriptor)
        except OSError as error:
            raise SendError(f"{self._path}: {error.strerror}") from error

    def close(self) -> None:
        """See Sender."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _opened(self) -> int:
        if self._descriptor is not None and self._is_elsewhere(self._descriptor):
            self.close()  # logrotate, or somebody, has moved it
        if self._descriptor is not None and os.fstat(self._descriptor).st_size >= self._bytes:
            os.fsync(self._descriptor)
            self.close()
            self._rotate()
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            size = os.fstat(self._descriptor).st_size
            if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
                os.write(self._descriptor, b"\n")
        return self._descriptor

    def _is_elsewhere(self, descriptor: int) -> bool:
        try:
            here, there = os.fstat(descriptor), self._path.stat()
        except FileNotFoundError:
            return True
        return (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino)

    def _rotate(self) -> None:
        for number in range(self._files - 1, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            if older.exists():
                older.replace(self._path.with_name(f"{self._path.name}.{number + 1}"))
        self._path.replace(self._path.with_name(f"{self._path.name}.1"))


class Output:
    """Lines on standard output, for a journal or a container's log."""

    def __init__(self, destination: Destination, stream: TextIO) -> None:
        self._encode = FORMATS[destination.chosen_format]
        self._stream = stream

    def send(self, item: Item) -> None:
        """See Sender."""
        try:
            self._stream.write(self._encode(item) + "\n")
        except OSError as error:
            raise SendError(f"standard output: {error.strerror}") from error

    def flush(self) -> None:
        """See Sender."""
        try:
            self._stream.flush()
        except OSError as error:
            raise SendError(f"standard output: {error.strerror}") from error

    def close(self) -> None:
        """Standard output is not ours to close."""
