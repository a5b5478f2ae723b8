# SPDX-License-Identifier: Apache-2.0
"""Protocol buffers on the wire, without a schema: the little that a few questions and answers need.

https://protobuf.dev/programming-guides/encoding/ . A message is read into its fields by number; what they mean
is for the caller to know. A message that is cut or wrong raises ValueError.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_VARINT: Final = 0
_FIXED64: Final = 1
_LENGTH: Final = 2
_FIXED32: Final = 5
_MAX_VARINT: Final = 10
"""Bytes of the longest number."""

Fields = dict[int, list[int | bytes]]
"""Values by field number, in their order: numbers, and bytes for text, maps and messages inside."""


def pack(fields: Mapping[int, object]) -> bytes:
    """A message: numbers, text, bytes, messages (mappings by number), maps of text, and lists of them."""
    return b"".join(
        _field(number, item)
        for number, value in fields.items()
        for item in (value if isinstance(value, list | tuple) else [value])
    )


def _field(number: int, value: object) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(int(value))
    if isinstance(value, Mapping):
        if value and all(isinstance(key, str) for key in value):
            return b"".join(_field(number, {1: key, 2: item}) for key, item in value.items())
        data = pack(value)
    elif isinstance(value, str | bytes):
        data = value.encode() if isinstance(value, str) else value
    else:
        raise TypeError(f"{type(value).__name__} cannot be packed")
    return _varint(number << 3 | _LENGTH) + _varint(len(data)) + data


def unpack(message: bytes) -> Fields:
    """The fields of a message. Raises ValueError."""
    fields: Fields = {}
    at = 0
    while at < len(message):
        tag, at = _number(message, at)
        value: int | bytes
        if tag & 7 == _VARINT:
            value, at = _number(message, at)
        elif tag & 7 in {_FIXED64, _FIXED32, _LENGTH}:
            length = {_FIXED64: 8, _FIXED32: 4}.get(tag & 7)
            if length is None:
                length, at = _number(message, at)
            value, at = message[at : at + length], at + length
            if at > len(message):
                raise ValueError("a field ends after its message")
        else:
            raise ValueError(f"no field has wire type {tag & 7}")
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def text(fields: Fields, number: int) -> str:
    """A field as text; empty where it is not there."""
    values = fields.get(number)
    return values[-1].decode(errors="replace") if values and isinstance(values[-1], bytes) else ""


def messages(fields: Fields, number: int) -> list[Fields]:
    """Every message of a repeated field. Raises ValueError."""
    return [unpack(value) for value in fields.get(number, []) if isinstance(value, bytes)]


def mapping(fields: Fields, number: int) -> dict[str, str]:
    """A map from text to text. Raises ValueError."""
    return {text(entry, 1): text(entry, 2) for entry in messages(fields, number)}


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _number(message: bytes, at: int) -> tuple[int, int]:
    """A number, and where the next byte after it is."""
    number = 0
    for index, byte in enumerate(message[at : at + _MAX_VARINT]):
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return number, at + index + 1
    raise ValueError("a number has no end")
