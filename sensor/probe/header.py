# SPDX-License-Identifier: Apache-2.0
"""A kernel's types as C, as far as a program names them: what bcc compiles against in place of vmlinux.h.

bpftool writes all of them, a hundred thousand lines, and loses on 5.10 the places behind a member that is aligned more
than its type is. Here a struct is packed, and what stands between the members that are read is written as bytes:
nothing is left to a compiler's rules, and it is asked to check sizes and places.

A member whose name the program nowhere says cannot be read by it: it is bytes too. So are bit fields.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import Final

from sensor.probe.btf import (
    ARRAY,
    CONST,
    ENUM,
    ENUM64,
    FUNC_PROTO,
    FWD,
    INT,
    PTR,
    RESTRICT,
    STRUCT,
    TYPE_TAG,
    TYPEDEF,
    UNION,
    VOLATILE,
    Btf,
    Member,
)

_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ALIGN: Final = 8
_NAMED_TYPE: Final = re.compile(r"\b(?:struct|union)\s+([A-Za-z_][A-Za-z0-9_]*)")
_QUALIFIERS: Final = frozenset({CONST, VOLATILE, RESTRICT, TYPE_TAG})
_NUMBER: Final = {1: "unsigned char", 2: "unsigned short", 4: "unsigned int", 8: "unsigned long long"}


def words(text: str) -> frozenset[str]:
    """The names in a program."""
    return frozenset(_WORD.findall(text))


class Header:
    """What `source` names of the kernel's types, written in an order that a compiler takes."""

    def __init__(self, btf: Btf, source: str) -> None:
        self._btf, self._words = btf, words(source)
        self._structs = frozenset(_NAMED_TYPE.findall(source))
        self._places = btf.places(self._words)
        self._spelled: dict[int, str] = {}
        self._begun: set[int] = set()
        self._later: list[int] = []
        self._forward: list[str] = []
        self._lines: list[str] = []
        self._gaps = 0

    def text(self) -> str:
        """The header."""
        self._enumerators()
        roots = {TYPEDEF: self._words, STRUCT: self._structs, UNION: self._structs}
        for kind, names in roots.items():
            for name in sorted(names & self._places.keys()):
                for number in self._btf.named.get((kind, self._places[name]), [])[:1]:
                    self._complete(number)
        while self._later:
            self._complete(self._later.pop())
        return "\n".join(["#pragma once", *self._forward, *self._lines, ""])

    def has(self, word: str) -> bool:
        """Whether the kernel has anything of a name that the source says."""
        return word in self._places

    def _enumerators(self) -> None:
        """Those that are named, as numbers; an enum itself is its name and one of its own."""
        named = {place: word for word, place in self._places.items()}
        told: dict[str, int] = {}
        for (kind, _), numbers in self._btf.named.items():
            if kind in {ENUM, ENUM64}:
                for place, value in chain.from_iterable(
                    self._btf.enumerators(one).items() for one in numbers
                ):
                    if place in named:
                        told.setdefault(named[place], value)
        self._lines += [f"enum {{ {word} = {value} }};" for word, value in told.items()]
        for word, place in self._places.items():
            if (ENUM, place) in self._btf.named:
                self._lines.append(f"enum {word} {{ {word}___is_here }};")

    def _complete(self, number: int) -> None:
        """A type that has a name, and before it whatever it holds by value."""
        if number in self._begun:
            return
        self._begun.add(number)
        kind = self._btf.type(number)
        if kind.kind == TYPEDEF:
            self._lines.append(f"typedef {self._declared(kind.of, self._name(number))};")
        else:
            body = self._body(number)
            self._lines.append(f"{self._name(number)} {body};\n{self._asserted(number)}")

    def _name(self, number: int) -> str:
        """As it is spelled, which is no other type's: BTF may have several of one name."""
        if number not in self._spelled:
            kind = self._btf.type(number)
            prefix = {STRUCT: "struct ", UNION: "union ", TYPEDEF: ""}[kind.kind]
            name = prefix + kind.name
            if self._btf.namesakes(number)[0] != number:
                name += f"___{number}"
            self._spelled[number] = name
            if prefix:
                self._forward.append(f"{name};")
        return self._spelled[number]

    def _body(self, number: int) -> str:
        """What stands in the braces of a struct or union, and its attributes."""
        kind = self._btf.type(number)
        parts: list[str] = []
        at = 0
        for member in sorted(self._read_of(number), key=lambda one: one.place):
            place = member.place // 8
            if kind.kind == STRUCT and place > at:
                parts.append(self._gap(place - at))
            parts.append(f"{self._declared(member.type, member.name)};")
            at = place + self._btf.size(member.type)
        if kind.kind == UNION:
            parts.append(self._gap(kind.size))
        elif kind.size > at:
            parts.append(self._gap(kind.size - at))
        aligned = next(align for align in (_ALIGN, 4, 2, 1) if kind.size % align == 0)
        return f"{{ {' '.join(parts)} }} __attribute__((packed, aligned({aligned})))"

    def _gap(self, size: int) -> str:
        self._gaps += 1
        return f"char ___{self._gaps}[{size}];"

    def _read_of(self, number: int) -> list[Member]:
        """The members that the source may read: no bit fields, and of what overlaps in a struct only the first."""
        found = []
        for member in self._btf.members(number):
            if member.bits or member.place % 8:
                continue
            bare = self._btf.bare(member.type)
            if member.name in self._words or (not member.name and self._names_any(bare)):
                found.append(member)
        return found

    def _names_any(self, number: int) -> bool:
        return bool(self._btf.type(number).kind in {STRUCT, UNION} and self._read_of(number))

    def _asserted(self, number: int) -> str:
        """What the compiler must make of it."""
        name = self._name(number)
        wanted = [f"sizeof({name}) == {self._btf.type(number).size}"]
        wanted += [
            f"__builtin_offsetof({name}, {field}) == {at}"
            for field, at in self._btf.fields(number)
            if field in self._words
        ]
        return "\n".join(f'_Static_assert({each}, "not as in the kernel");' for each in wanted)

    def _declared(self, number: int, name: str) -> str:
        """A declaration of `name` as of this type."""
        kind = self._btf.type(number)
        if kind.kind in _QUALIFIERS:
            return self._declared(kind.of, name)
        if kind.kind == PTR:
            return self._pointer(kind.of, name)
        if kind.kind == ARRAY:
            of, length = self._btf.array(number)
            return self._declared(of, f"{name}[{length}]")
        return f"{self._value(number)} {name}"

    def _value(self, number: int) -> str:
        """The word for a type that is written before the name."""
        kind = self._btf.type(number)
        if kind.kind in {STRUCT, UNION} and not kind.name:
            return f"{'struct' if kind.kind == STRUCT else 'union'} {self._body(number)}"
        if kind.kind in {STRUCT, UNION, TYPEDEF}:
            self._complete(number)
            return self._name(number)
        # An enum is as wide as BTF says, whatever its enumerators are; of a function there is no value.
        return _NUMBER[kind.size] if kind.kind in {ENUM, ENUM64} else kind.name or "void"

    def _pointer(self, number: int, name: str) -> str:
        """A struct may be completed later. To a function, or what else has no plain form, it is one to void."""
        kind = self._btf.type(number)
        while kind.kind in _QUALIFIERS:
            number, kind = kind.of, self._btf.type(kind.of)
        if kind.kind in {STRUCT, UNION} and kind.name:
            self._later.append(number)
            return f"{self._name(number)} *{name}"
        plain = self._btf.type(self._btf.bare(number)).kind not in {FUNC_PROTO, FWD}
        if kind.kind in {INT, TYPEDEF, PTR} and plain:
            return self._declared(number, f"*{name}")
        return f"void *{name}"
