# SPDX-License-Identifier: Apache-2.0
"""A runtime's own configuration on its host: a file of it, or its daemon's command line, that was changed."""

from __future__ import annotations

from typing import Literal, TypedDict

from sensor.wire.people import Caller

FileOf = Literal["docker", "containerd", "podman", "kubelet", "cri-o", "cni", "other"]
"""Whose configuration a file is."""


class FileState(TypedDict):
    """A file as it was, without what it holds."""

    digest: str
    """SHA-256, hex, of all of it."""
    size: int
    uid: int
    mode: int
    """Permission bits."""
    modified: int
    """Like `time`, by the host's clock; whoever may write the file may set it."""


class HostFile(TypedDict):
    """A configuration file of a runtime on the host, or its daemon's command line, is another than before."""

    id: str
    time: int
    mono: int
    kind: Literal["file"]
    runtime: FileOf
    path: str
    """"command line of dockerd" where it is no file."""
    before: FileState | None
    """None: there was no such file."""
    after: FileState | None
    """None: it is gone."""
    difference: list[str]
    """Lines as of a unified difference, without secrets; none where only who may write it differs, or a secret."""
    difference_cut: bool
    unwatched: bool
    """It became so while no sensor watched."""
    caller: Caller | None
    """The process that wrote it last."""
    caller_unknown: str | None
    """Why it is not known who wrote it, in words."""
