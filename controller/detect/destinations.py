# SPDX-License-Identifier: Apache-2.0
"""Where a command line says that it connects to, and what is known of some places."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

# What stands before the host ("http://user@", "TCP:") and after it must not be able to hold another one.
_LOOPBACK: Final = re.compile(
    r"(?:\w+://|(?i:tcp|udp|ssl|openssl)[\w-]*:)?(?:[^/@]*@)?"
    r"(?:localhost|127(?:\.\d+){3}|\[?::1\]?)(?:[:/,][^@]*)?"
)
_NO_PLACE: Final = re.compile(r"\d+|/dev/null")


def only_loopback(arguments: Sequence[str]) -> bool:
    """Whether every operand names the loopback (beside numbers and /dev/null), and at least one does.

    A hint that may lower a severity, not proof: options can lead elsewhere (`--resolve`, `--proxy=`).
    """
    operands = [each for each in arguments if not each.startswith("-") and not _NO_PLACE.fullmatch(each)]
    return bool(operands) and all(map(_LOOPBACK.fullmatch, operands))


METADATA: Final = {
    "169.254.169.254": "the metadata service of this cloud (AWS, Azure, Google, OpenStack)",
    "fd00:ec2::254": "the metadata service of AWS by IPv6",
    "fd20:ce::254": "the metadata service of Google by IPv6",
    "169.254.170.2": "the credentials of an ECS task",
    "169.254.170.23": "the credentials of an EKS pod",
    "fd00:ec2::23": "the credentials of an EKS pod by IPv6",
    "100.100.100.200": "the metadata service of Alibaba Cloud",
    "192.0.0.192": "the metadata service of Oracle Cloud",
}
"""Addresses that hand a workload the credentials of its machine, by their providers' documents."""


def is_loopback(address: str) -> bool:
    """Whether only the same network namespace is reached there. ValueError: it is no address."""
    return ip_address(address).is_loopback
