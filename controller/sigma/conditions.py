# SPDX-License-Identifier: Apache-2.0
"""A condition as pySigma has parsed it, as a function of a visit and an event.

Text is compared as Sigma says: whole, without regard to case, with `*` and `?`. Patterns run by RE2, whose time is
bounded by the text's length: what a container says cannot hold detection up. Patterns that RE2 does not have
(looking ahead or behind, back references) are refused when the rule is loaded.
"""

from __future__ import annotations

import operator
import re
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import re2  # type: ignore[import-untyped]
from sigma import conditions as parsed
from sigma import types

from controller.sigma import fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.detect.rule import Event, Visit

    Test: TypeAlias = Callable[[Visit, Event], bool]
    Compare: TypeAlias = Callable[[Any], bool]

_OPERATORS: Final = {
    "LT": operator.lt,
    "LTE": operator.le,
    "GT": operator.gt,
    "GTE": operator.ge,
    "NEQ": operator.ne,
}
_TIMES: Final = frozenset({"timestamp", "@timestamp", "utctime", "time"})


class CannotMapError(Exception):
    """Something of the rule has no meaning here. `field` where it is one that is not known."""

    def __init__(self, text: str, field: str | None = None) -> None:
        super().__init__(text)
        self.field = field


def build(node: Any, kind: str) -> Test:  # noqa: ANN401 - pySigma's own tree
    """The test of a parsed condition over a kind of log. CannotMapError names what has no meaning here."""
    if isinstance(node, parsed.ConditionNOT):
        inner = build(node.args[0], kind)
        return lambda visit, event: not inner(visit, event)
    if isinstance(node, parsed.ConditionAND | parsed.ConditionOR):
        return _all_or_any([build(each, kind) for each in node.args], isinstance(node, parsed.ConditionAND))
    if isinstance(node, parsed.ConditionFieldEqualsValueExpression):
        return _field(node.field, node.value, kind)
    if isinstance(node, parsed.ConditionValueExpression):
        return _keyword(node.value)
    raise CannotMapError(f"the condition has a part that is not known: {type(node).__name__}")


def names(node: Any) -> set[str]:  # noqa: ANN401 - as above
    """The fields that the condition asks for."""
    own = {node.field} if isinstance(node, parsed.ConditionFieldEqualsValueExpression) else set()
    return own.union(*(names(each) for each in getattr(node, "args", ())))


def _all_or_any(tests: list[Test], every: bool) -> Test:
    if every:
        return lambda visit, event: all(test(visit, event) for test in tests)
    return lambda visit, event: any(test(visit, event) for test in tests)


def _field(field: str, value: Any, kind: str) -> Test:  # noqa: ANN401 - any of Sigma's types
    if isinstance(value, types.SigmaTimestampPart) and field.lower() in _TIMES:
        return _time(value)
    read = _reader(kind, field)
    if isinstance(value, types.SigmaExpansion):
        return _all_or_any([_field(field, each, kind) for each in value.values], every=False)
    if isinstance(value, types.SigmaNull):
        return lambda visit, event: not read(visit, event)
    if isinstance(value, types.SigmaExists):
        wanted = bool(value)
        return lambda visit, event: bool(read(visit, event)) is wanted
    if isinstance(value, types.SigmaFieldReference):
        return _reference(read, value, _reader(kind, value.field))
    compare = _compare(value)
    return lambda visit, event: any(compare(each) for each in read(visit, event))


def _reader(kind: str, field: str) -> fields.Reader:
    read = fields.reader(kind, field)
    if read is None:
        raise CannotMapError(f"the field {field} has no counterpart in events of {kind}", field)
    return read


def _compare(value: Any) -> Compare:  # noqa: ANN401 - any of Sigma's types
    if isinstance(value, types.SigmaString):
        pattern = _compiled(_pattern(value), case=isinstance(value, types.SigmaCasedString))
        return lambda each: pattern.fullmatch(_text(each)) is not None
    if isinstance(value, types.SigmaBool):
        said = "true" if bool(value) else "false"
        return lambda each: _text(each).lower() == said
    if isinstance(value, types.SigmaNumber):
        number = value.number
        return lambda each: _number(each) == number
    if isinstance(value, types.SigmaRegularExpression):
        return _regular(value)
    if isinstance(value, types.SigmaCIDRExpression):
        network = value.network
        return lambda each: _within(each, network)
    if isinstance(value, types.SigmaCompareExpression):
        ask, than = _OPERATORS[value.op.name], value.number.number
        return lambda each: (told := _number(each)) is not None and bool(ask(told, than))
    raise CannotMapError(
        f"values of the type {type(value).__name__.removeprefix('Sigma')} cannot be compared"
    )


def _regular(value: types.SigmaRegularExpression) -> Compare:
    flags = {each.name for each in value.flags}
    text = str(value.regexp.to_plain())
    pattern = _compiled(
        text, case="IGNORECASE" not in flags, lines="MULTILINE" in flags, dots="DOTALL" in flags
    )
    return lambda each: pattern.search(_text(each)) is not None


def _reference(read: fields.Reader, value: types.SigmaFieldReference, other: fields.Reader) -> Test:
    def test(visit: Visit, event: Event) -> bool:
        mine = [_text(each).lower() for each in read(visit, event)]
        theirs = [_text(each).lower() for each in other(visit, event)]
        if value.starts_with:
            return any(a.startswith(b) for a in mine for b in theirs)
        if value.ends_with:
            return any(a.endswith(b) for a in mine for b in theirs)
        return bool(set(mine) & set(theirs))

    return test


def _keyword(value: Any) -> Test:  # noqa: ANN401 - text or a number
    inner = _pattern(value) if isinstance(value, types.SigmaString) else re.escape(str(value))
    pattern = _compiled(inner, case=False)
    return lambda _visit, event: any(pattern.search(each) is not None for each in _texts(event))


def _texts(value: Any) -> list[str]:  # noqa: ANN401 - any JSON
    """All texts of an event; of a command line the whole line too."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    if isinstance(value, list | tuple):
        texts = [text for each in value for text in _texts(each)]
        return [*texts, " ".join(texts)]
    return []


def _time(value: types.SigmaTimestampPart) -> Test:
    part, number = value.timestamp_part.name.lower(), value.number

    def test(_visit: Visit, event: Event) -> bool:
        moment = datetime.fromtimestamp(event["time"] // 1_000_000_000, UTC)
        told = moment.isocalendar().week if part == "week" else getattr(moment, part)
        return bool(told == number)

    return test


def _pattern(text: types.SigmaString) -> str:
    """Sigma's wildcards as a regular expression."""
    wild = {types.SpecialChars.WILDCARD_MULTI: ".*", types.SpecialChars.WILDCARD_SINGLE: "."}
    parts = []
    for each in text.s:
        if isinstance(each, str):
            parts.append(re2.escape(each))
        elif each in wild:
            parts.append(wild[each])
        else:
            raise CannotMapError(f"the placeholder %{getattr(each, 'name', each)}% has no value here")
    return "".join(parts)


def _compiled(text: str, *, case: bool, lines: bool = False, dots: bool = True) -> Any:  # noqa: ANN401 - RE2 has no types
    flags = ("" if case else "i") + ("m" if lines else "") + ("s" if dots else "")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(f"(?{flags}){text}" if flags else text, options)
    except re2.error as error:
        raise CannotMapError(f"the pattern {text!r} cannot run in bounded time: {_said(error)}") from error


def _said(error: Exception) -> str:
    first = error.args[0] if error.args else error
    return first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def _within(value: object, network: Any) -> bool:  # noqa: ANN401 - of either family
    try:
        return ip_address(str(value)) in network
    except ValueError:
        return False
