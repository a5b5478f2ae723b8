# SPDX-License-Identifier: Apache-2.0
"""The language of exceptions: conditions on documented fields, parsed and type-checked here. Nothing is executed.

    container.image like "registry.example/backup:*" and process.argv contains "pg_dump"
    principal in ("deploy", "jane") and not severity >= "high"
    source within "10.0.0.0/8" and (hour >= 8 and hour < 18)
    container.labels["app.kubernetes.io/managed-by"] == "argocd" and login.user is unknown

`like` is a glob over the whole text: * any characters, ? one. `contains` is about a list's element, or a part of a
text. A condition on what is not known is neither true nor false, and an exception applies only where its whole
expression is true: `not (process.user == "root")` does not hold of a process whose user nobody knows.
"""

from __future__ import annotations

import difflib
import ipaddress
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from controller.policy.fields import FIELDS, LABELS, LEVELS, Field
from controller.policy.globs import matches
from controller.policy.lexer import ExpressionError, Token, tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["OPERATORS_OF", "Expression", "ExpressionError", "parse"]

MAX_DEPTH: Final = 30
MAX_VALUES: Final = 200


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition that can be asked of a subject (`fields.subject`). Made by `parse`."""

    text: str
    fields: frozenset[str]
    """Names of the fields that it looks at."""
    test: Callable[[Mapping[str, Any]], bool | None]

    def holds(self, subject: Mapping[str, Any]) -> bool:
        """Whether it is true; of what is not known nothing is."""
        return self.test(subject) is True


def parse(text: str) -> Expression:
    """The expression that `text` is. ExpressionError: it is none, with the place."""
    text = text.strip()
    reader = _Reader(text)
    test = reader.either(0)
    if reader.now.kind != "end":
        raise reader.error("expected and, or, or the end")
    return Expression(text, frozenset(reader.fields), test)


class _Reader:
    """Reads by recursive descent: or, and, not, a condition or parentheses."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._at = 0
        self.fields: set[str] = set()

    @property
    def now(self) -> Token:
        return self._tokens[self._at]

    def error(self, reason: str, token: Token | None = None) -> ExpressionError:
        where = token or self.now
        return ExpressionError(reason, self._text, where.at, where.length)

    def take(self, *values: str) -> Token | None:
        """The next word if it is one of these signs or words of the language."""
        token = self.now
        if token.kind in {"sign", "word"} and token.value in values:
            self._at += 1
            return token
        return None

    def next(self) -> Token:
        token = self.now
        self._at += token.kind != "end"
        return token

    def either(self, depth: int) -> Callable[[Mapping[str, Any]], bool | None]:
        parts = [self._both(depth)]
        while self.take("or"):
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else lambda subject: _any([part(subject) for part in parts])

    def _both(self, depth: int) -> Callable[[Mapping[str, Any]], bool | None]:
        parts = [self._not(depth)]
        while self.take("and"):
            parts.append(self._not(depth))
        return parts[0] if len(parts) == 1 else lambda subject: _all([part(subject) for part in parts])

    def _not(self, depth: int) -> Callable[[Mapping[str, Any]], bool | None]:
        if depth > MAX_DEPTH:
            raise self.error(f"nested deeper than {MAX_DEPTH}")
        if self.take("not"):
            inner = self._not(depth + 1)
            return lambda subject: _not(inner(subject))
        if self.take("("):
            inner = self.either(depth + 1)
            if not self.take(")"):
                raise self.error("expected )")
            return inner
        return self._condition()

    def _condition(self) -> Callable[[Mapping[str, Any]], bool | None]:
        name = self.next()
        field = self._field(name)
        if self.take("is"):
            return self._known(name.value)
        negated = self.take("not")
        sign = self.next()
        if negated and sign.value not in {"in", "like", "contains", "within"}:
            raise self.error("expected in, like, contains or within after not", sign)
        if sign.kind not in {"sign", "word"} or sign.value not in _OPERATORS:
            if field.type == "boolean":
                raise self.error("expected == true or == false", sign)
            raise self.error(f"expected one of {', '.join(_OPERATORS)}, or is known", sign)
        if sign.value not in OPERATORS_OF[field.type]:
            wanted = ", ".join(OPERATORS_OF[field.type])
            raise self.error(f"{name.value} is a {_TYPES[field.type]}: it takes {wanted}", sign)
        compare, wanted_value = _OPERATORS[sign.value], self._value(sign, field)
        key = name.value

        def test(subject: Mapping[str, Any]) -> bool | None:
            value = value_of(subject, key)
            if value is None:
                return None
            return bool(compare(_level(value, field), wanted_value)) is (negated is None)

        return test

    def _field(self, name: Token) -> Field:
        if name.kind != "name":
            raise self.error("expected a field such as container.name", name)
        key = LABELS if name.value.startswith((f"{LABELS}[", f"{LABELS}.")) else name.value
        field = FIELDS.get(key)
        if field is None:
            close = difflib.get_close_matches(name.value, FIELDS, 1)
            hint = f": did you mean {close[0]}?" if close else ": see 'exceptions fields'"
            raise self.error(f"there is no field {name.value}{hint}", name)
        if key == name.value == LABELS:
            raise self.error(f'name the label: {LABELS}["app"]', name)
        self.fields.add(name.value)
        return field

    def _known(self, name: str) -> Callable[[Mapping[str, Any]], bool | None]:
        negated = self.take("not") is not None
        word = self.take("known", "unknown")
        if word is None:
            raise self.error("expected known or unknown")
        wanted = (word.value == "known") is not negated
        return lambda subject: (value_of(subject, name) is not None) is wanted

    def _value(self, sign: Token, field: Field) -> Any:  # noqa: ANN401 - of the field's type
        if sign.value != "in":
            return self._single(self.next(), sign, field)
        if not self.take("("):
            raise self.error('expected a list: ("a", "b")')
        values = [self._single(self.next(), sign, field)]
        while self.take(","):
            values.append(self._single(self.next(), sign, field))
        if not self.take(")"):
            raise self.error("expected , or )")
        if len(values) > MAX_VALUES:
            raise self.error(f"a list has at most {MAX_VALUES} values", sign)
        return frozenset(values)

    def _single(self, token: Token, sign: Token, field: Field) -> Any:  # noqa: ANN401 - as above
        if field.type == "number":
            if token.kind != "number":
                raise self.error("expected a number", token)
            return int(token.value)
        if field.type == "boolean":
            if token.value not in {"true", "false"} or token.kind != "word":
                raise self.error("expected true or false", token)
            return token.value == "true"
        if token.kind != "text":
            raise self.error("expected a text in double quotes", token)
        if field.type == "level":
            if token.value not in LEVELS:
                raise self.error(f"expected one of {', '.join(LEVELS)}", token)
            return LEVELS.index(token.value)
        if sign.value == "within":
            return self._network(token)
        return token.value

    def _network(self, token: Token) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        try:
            return ipaddress.ip_network(token.value)
        except ValueError as error:
            raise self.error(f"no range of addresses such as 10.0.0.0/8: {error}", token) from error


def value_of(subject: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - of the field's type
    """The value of a field, or of one label; None where it is not known or there is none."""
    if name.startswith(f"{LABELS}["):
        label = name[len(LABELS) + 2 : -2].replace('\\"', '"').replace("\\\\", "\\")
    elif name.startswith(f"{LABELS}."):
        label = name[len(LABELS) + 1 :]
    else:
        return subject.get(name)
    labels = subject.get(LABELS)
    return None if labels is None else labels.get(label)


def _level(value: Any, field: Field) -> Any:  # noqa: ANN401 - as above
    return LEVELS.index(value) if field.type == "level" else value


def _within(value: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    try:
        return ipaddress.ip_address(value) in network
    except ValueError:
        return False


def _contains(value: str | tuple[str, ...], wanted: str) -> bool:
    return wanted in value


def _like(value: str | tuple[str, ...], pattern: str) -> bool:
    return any(matches(pattern, each) for each in ((value,) if isinstance(value, str) else value))


def _in(value: str | tuple[str, ...], wanted: frozenset[Any]) -> bool:
    return not wanted.isdisjoint(value) if isinstance(value, tuple) else value in wanted


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _all(values: list[bool | None]) -> bool | None:
    if False in values:
        return False
    return None if None in values else True


def _any(values: list[bool | None]) -> bool | None:
    if True in values:
        return True
    return None if None in values else False


_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": _in,
    "like": _like,
    "contains": _contains,
    "within": _within,
}
OPERATORS_OF: Final = {
    "text": ("==", "!=", "in", "like", "contains"),
    "texts": ("contains", "in", "like"),
    "number": ("==", "!=", "<", "<=", ">", ">=", "in"),
    "level": ("==", "!=", "<", "<=", ">", ">=", "in"),
    "boolean": ("==", "!="),
    "address": ("==", "!=", "in", "like", "within"),
}
_TYPES: Final = {
    "text": "text",
    "texts": "list of texts",
    "number": "number",
    "level": "severity",
    "boolean": "yes or no",
    "address": "network address",
}
