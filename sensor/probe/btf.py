# SPDX-License-Identifier: Apache-2.0
"""Reads BTF, the kernel's own description of its types (Linux, Documentation/bpf/btf.rst). Pure: bytes in, types out.

A kernel has more than a hundred thousand types, of which a few hundred are asked for: only where each begins, and
which have a name, is looked at before.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT = range(1, 12)
FUNC_PROTO, VAR, DATASEC, FLOAT, DECL_TAG, TYPE_TAG, ENUM64 = range(13, 20)
ALIASES: Final = frozenset({TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG})
NAMED: Final = frozenset({STRUCT, UNION, ENUM, ENUM64, TYPEDEF})
_SIZED: Final = frozenset({INT, STRUCT, UNION, ENUM, ENUM64, FLOAT, DATASEC})
_MAGIC: Final = 0xEB9F
_AFTER: Final = {INT: 4, ARRAY: 12, VAR: 4, DECL_TAG: 4}
"""Bytes after a type's head, by kind."""
_EACH: Final = {STRUCT: 12, UNION: 12, ENUM: 8, FUNC_PROTO: 8, DATASEC: 12, ENUM64: 12}
"""Bytes after it for each of its parts."""


@dataclass(frozen=True, slots=True)
class Member:
    """Of a struct or union. `place` is in bits; `bits` is 0 unless it is a bit field."""

    name: str
    type: int
    place: int
    bits: int


@dataclass(frozen=True, slots=True)
class Type:
    """`size` is in bytes; `of` is the number of the type that this one is made of, 0 for void."""

    kind: int
    name: str
    size: int
    of: int


class Btf:
    """All types, by number."""

    def __init__(self, data: bytes) -> None:
        """ValueError for what is no BTF of this byte order, is cut short, or has a kind of type unknown here."""
        self._data = data
        try:
            magic, _version, _flags, head = struct.unpack_from("<HBBI", data)
            types, length, strings, self._strings_length = struct.unpack_from("<IIII", data, 8)
            if magic != _MAGIC:
                raise ValueError(f"it begins with {magic:#x} and not as BTF does")
            self._strings = head + strings
            self._heads = [0]
            self.named: dict[tuple[int, int], list[int]] = {}
            self._read(head + types, head + types + length)
        except struct.error as error:
            raise ValueError(f"it is cut short: {error}") from error
        self.type = lru_cache(maxsize=None)(self._type)

    def _read(self, at: int, end: int) -> None:
        data, heads, take = self._data, self._heads, struct.Struct("<II").unpack_from
        after = [_AFTER.get(kind, 0) + 12 for kind in range(ENUM64 + 1)]
        each = [_EACH.get(kind, 0) for kind in range(ENUM64 + 1)]
        while at < end:
            name, info = take(data, at)
            kind = info >> 24 & 0x1F
            if not 0 < kind <= ENUM64:
                raise ValueError(f"type {len(heads)} is of kind {kind}, which is not known here")
            if kind in NAMED:
                self.named.setdefault((kind, name), []).append(len(heads))
            heads.append(at)
            at += after[kind] + each[kind] * (info & 0xFFFF)

    def places(self, words: frozenset[str]) -> dict[str, int]:
        """Where each of these words stands among the names; those that are no name of anything are left out."""
        found, at = {}, 0
        wanted = {word.encode() for word in words}
        for text in self._data[self._strings : self._strings + self._strings_length].split(b"\0"):
            if text in wanted:
                found[text.decode()] = at
            at += len(text) + 1
        return found

    def namesakes(self, number: int) -> list[int]:
        """The types of this kind and name, this one among them: a kernel may have several."""
        name, info = struct.unpack_from("<II", self._data, self._heads[number])
        return self.named[info >> 24 & 0x1F, name]

    def _type(self, number: int) -> Type:
        if number == 0:
            return Type(0, "void", 0, 0)
        name, info, last = struct.unpack_from("<III", self._data, self._heads[number])
        kind = info >> 24 & 0x1F
        sized = kind in _SIZED
        return Type(kind, self._text(name), last if sized else 0, 0 if sized else last)

    def _text(self, offset: int) -> str:
        begin = self._strings + offset
        return self._data[begin : self._data.index(b"\0", begin)].decode("ascii", "replace")

    def _parts(self, number: int, form: str) -> list[tuple[int, ...]]:
        info = struct.unpack_from("<I", self._data, self._heads[number] + 4)[0]
        begin = self._heads[number] + 12
        size = struct.calcsize(form) * (info & 0xFFFF)
        return list(struct.iter_unpack(form, self._data[begin : begin + size]))

    def members(self, number: int) -> list[Member]:
        """Of a struct or union."""
        fields = struct.unpack_from("<I", self._data, self._heads[number] + 4)[0] >> 31
        return [
            Member(self._text(name), of, place & 0xFFFFFF if fields else place, place >> 24 if fields else 0)
            for name, of, place in self._parts(number, "<III")
        ]

    def fields(self, number: int, base: int = 0) -> Iterator[tuple[str, int]]:
        """The members and their byte offsets, those of anonymous inner ones among them; no bit fields."""
        for member in self.members(number):
            at = base + member.place // 8
            if member.bits:
                continue
            if member.name:
                yield member.name, at
            elif self.type(inner := self.bare(member.type)).kind in {STRUCT, UNION}:
                yield from self.fields(inner, at)

    def enumerators(self, number: int) -> dict[int, int]:
        """Of an enum: the place of a name to its value."""
        if self.type(number).kind == ENUM:
            return dict(self._parts(number, "<Ii"))  # type: ignore[arg-type]
        return {name: low + (high << 32) for name, low, high in self._parts(number, "<IIi")}

    def array(self, number: int) -> tuple[int, int]:
        """An array's element type and length."""
        of, _index, length = struct.unpack_from("<III", self._data, self._heads[number] + 12)
        return of, length

    def bare(self, number: int) -> int:
        """The type below typedefs and qualifiers."""
        while self.type(number).kind in ALIASES:
            number = self.type(number).of
        return number

    def size(self, number: int) -> int:
        """Bytes that a value of this type takes; 0 for what has none."""
        number = self.bare(number)
        found = self.type(number)
        if found.kind == ARRAY:
            of, length = self.array(number)
            return self.size(of) * length
        return struct.calcsize("P") if found.kind == PTR else found.size
