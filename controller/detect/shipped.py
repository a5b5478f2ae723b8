# SPDX-License-Identifier: Apache-2.0
"""A baseline as a document: written to be reviewed and shipped beside an image, read with suspicion."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from controller.detect.baseline import FACETS, MAX_VALUE, Trait
from sensor import wire

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

VERSION: Final = 1
MAX_BYTES: Final = 4 * 1024 * 1024
MAX_TRAITS: Final = 2000
MAX_SUBJECT: Final = 520


class _Trait(msgspec.Struct, forbid_unknown_fields=True):
    side: Literal["own", "visit"]
    facet: str
    value: str


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    nsentry_baseline: int
    subject: str
    traits: list[_Trait]


class BadDocumentError(ValueError):
    """It is not a baseline that this version can read; the message says why."""


def write(subject: str, traits: Iterable[Trait]) -> str:
    """The document, one trait a line, in order: two of them can be compared by any tool."""
    lines = [
        json.dumps({"side": each.side, "facet": each.facet, "value": each.value}, ensure_ascii=False)
        for each in sorted(traits)
    ]
    head = (
        f'{{"nsentry_baseline": {VERSION}, "subject": {json.dumps(subject, ensure_ascii=False)}, "traits": ['
    )
    return "\n".join([head, ",\n".join(lines), "]}", ""])


def read(path: Path) -> tuple[str, list[Trait]]:
    """Subject and traits of a document. BadDocumentError, OSError."""
    data = path.read_bytes()
    if len(data) > MAX_BYTES:
        raise BadDocumentError(f"{path} has more than {MAX_BYTES} bytes")
    try:
        document = msgspec.json.decode(data, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadDocumentError(f"{path} is not a baseline: {error}") from error
    if document.nsentry_baseline != VERSION:
        raise BadDocumentError(f"{path} is of version {document.nsentry_baseline}, this reads {VERSION}")
    if len(document.traits) > MAX_TRAITS:
        raise BadDocumentError(
            f"{path} has {len(document.traits)} traits, a baseline has at most {MAX_TRAITS}"
        )
    for number, each in enumerate(document.traits, start=1):
        if each.facet not in FACETS:
            raise BadDocumentError(f"{path}: trait {number}: there is no facet {each.facet!r}")
        if not each.value or len(each.value) > MAX_VALUE or wire.printable(each.value) != each.value:
            raise BadDocumentError(
                f"{path}: trait {number}: its value is empty, too long, or cannot be printed"
            )
    return document.subject, [Trait(each.side, each.facet, each.value) for each in document.traits]


def checked_subject(name: str) -> str:
    """`name` if a baseline can be of it. BadDocumentError."""
    kind, _, rest = name.partition(" ")
    if (
        kind not in {"image", "workload"}
        or not rest
        or len(name) > MAX_SUBJECT
        or wire.printable(name) != name
    ):
        raise BadDocumentError(
            f'{wire.printable(name)[:80]!r}: a baseline is of "image NAME" or of "workload NAME"'
        )
    return name
