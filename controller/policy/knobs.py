# SPDX-License-Identifier: Apache-2.0
"""The knobs of T1609, by ATT&CK's names (its "mutable elements"), and one of ours: what they take and mean. Pure.

    [knobs]                                      in controller.toml
    AuthorizedAdminUsers = ["jane", "kubernetes:system:serviceaccount:ci:deploy"]
    ExecFrequencyThreshold = "10/10m"
    SourceIPRange = ["10.0.0.0/8", "2001:db8::/32"]
    NamespaceScope = ["shop", "kube-*"]
    DeployedByLabels = ["com.docker.compose.project=shop"]

A knob that is not set asks for nothing: its detection stays silent. The threshold alone has a value by default.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from controller.policy.globs import matches
from sensor.wire import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from controller.policy.principals import Principal

MAX_VALUES: Final = 1000
MAX_TEXT: Final = 512
_SECOND: Final = 1_000_000_000
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MAX_WITHIN_S: Final = 7 * 86_400

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class KnobError(ValueError):
    """A knob that there is not, or a value that it does not take; the text says what it takes."""


class Frequency(NamedTuple):
    """So many visits within so many ns."""

    visits: int
    within: int

    def __str__(self) -> str:
        seconds = self.within // _SECOND
        size, unit = next((n, u) for u, n in reversed(_UNITS.items()) if seconds % n == 0)
        return f"{self.visits}/{seconds // size}{unit}"


DEFAULT_FREQUENCY: Final = Frequency(10, 600 * _SECOND)


@dataclass(frozen=True, slots=True)
class Knobs:
    """The values in force. None: not set."""

    authorized_admin_users: tuple[str, ...] | None = None
    exec_frequency_threshold: Frequency = DEFAULT_FREQUENCY
    source_ip_range: tuple[Network, ...] | None = None
    namespace_scope: tuple[str, ...] | None = None
    deployed_by_labels: tuple[str, ...] | None = None

    def authorised(self, principal: Principal) -> bool | None:
        """Whether he is on the list of AuthorizedAdminUsers; None: no list, or it is not known who it is."""
        if self.authorized_admin_users is None or principal.name is None:
            return None
        return any(
            matches(pattern, name) for pattern in self.authorized_admin_users for name in principal.names
        )

    def in_source_range(self, address: str | None) -> bool | None:
        """Whether an address is in one of the ranges; None: no range, or not known, or no address."""
        if self.source_ip_range is None or address is None:
            return None
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return None
        mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
        return any((mapped or found) in network for network in self.source_ip_range)

    def in_scope(self, namespace: str | None) -> bool | None:
        """Whether a Kubernetes namespace is one in which people may exec; None: no scope, or not known."""
        if self.namespace_scope is None or namespace is None:
            return None
        return any(matches(pattern, namespace) for pattern in self.namespace_scope)

    def deploying_label(self, labels: Mapping[str, str]) -> str | None:
        """The label by which a container says that the deploying system made it; None without one."""
        for wanted in self.deployed_by_labels or ():
            name, sign, value = wanted.partition("=")
            if name in labels and (not sign or matches(value, labels[name])):
                return f"{name}={labels[name]}"
        return None


class Knob(NamedTuple):
    """One knob: the attribute of Knobs, how its words are read, and what people are told."""

    attribute: str
    read: Callable[[Sequence[str]], Any]
    takes: str
    meaning: str


def _names(words: Sequence[str]) -> tuple[str, ...]:
    for word in words:
        if not word or len(word) > MAX_TEXT or printable(word) != word:
            raise KnobError(f"{word[:40]!r} is empty, too long, or cannot be seen")
    return tuple(words)


def _frequency(words: Sequence[str]) -> Frequency:
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})([smhd])", words[0]) if len(words) == 1 else None
    if match is None:
        raise KnobError(f"{' '.join(words)!r} is not of the form 10/10m: so many visits in so much time")
    visits, within = int(match[1]), int(match[2]) * _UNITS[match[3]]
    if not 2 <= visits <= 1000:
        raise KnobError("the number of visits is from 2 to 1000")
    if not 1 <= within <= _MAX_WITHIN_S:
        raise KnobError("the time is from 1s to 7d")
    return Frequency(visits, within * _SECOND)


def _networks(words: Sequence[str]) -> tuple[Network, ...]:
    made = []
    for word in words:
        try:
            made.append(ipaddress.ip_network(word))
        except ValueError as error:
            raise KnobError(f"no range of addresses such as 10.0.0.0/8: {error}") from error
    return tuple(made)


KNOBS: Final[dict[str, Knob]] = {
    "AuthorizedAdminUsers": Knob(
        "authorized_admin_users",
        _names,
        "names, or kind:name; * and ? stand for others",
        "Who may use container administration commands. Others: unauthorised_principal.",
    ),
    "ExecFrequencyThreshold": Knob(
        "exec_frequency_threshold",
        _frequency,
        "visits/time: 10/10m",
        "From how many visits of one principal in how much time on it is a burst: exec_burst.",
    ),
    "SourceIPRange": Knob(
        "source_ip_range",
        _networks,
        "ranges of addresses: 10.0.0.0/8",
        "Where those who come in may come from. From elsewhere: source_range.",
    ),
    "NamespaceScope": Knob(
        "namespace_scope",
        _names,
        "Kubernetes namespaces; * and ? stand for others",
        "The namespaces in whose pods people may exec. In others: namespace_scope.",
    ),
    "DeployedByLabels": Knob(
        "deployed_by_labels",
        _names,
        "labels: name, or name=value with * and ?",
        "Labels of what the deploying system makes: its changes are authorised, see configuration_changed.",
    ),
}


def read(values: Mapping[str, str | Sequence[str]]) -> Knobs:
    """The knobs with these values, the others as they are without one. KnobError names the knob."""
    made = {}
    for name, value in values.items():
        knob = KNOBS.get(name)
        if knob is None:
            raise KnobError(f"there is no knob {printable(name)}; there are {', '.join(KNOBS)}")
        words = [value] if isinstance(value, str) else list(value)
        if not words or len(words) > MAX_VALUES:
            raise KnobError(f"{name} takes 1 to {MAX_VALUES} values: {knob.takes}")
        try:
            made[knob.attribute] = knob.read(words)
        except KnobError as error:
            raise KnobError(f"{name}: {error}") from error
    return Knobs(**made)


def over(knobs: Knobs, values: Mapping[str, str | Sequence[str]]) -> Knobs:
    """The same, but for those that `values` set. KnobError as `read`."""
    set_ = read(values)
    return replace(
        knobs, **{name: getattr(set_, name) for name in (KNOBS[each].attribute for each in values)}
    )


def words(knobs: Knobs, name: str) -> list[str] | None:
    """The value of a knob as `read` takes it; None where it is not set."""
    value = getattr(knobs, KNOBS[name].attribute)
    if value is None:
        return None
    return [str(value)] if isinstance(value, Frequency) else [str(each) for each in value]
