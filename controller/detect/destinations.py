# SPDX-License-Identifier: Apache-2.0
"""Where a command line says that it connects to."""

from __future__ import annotations

import re
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
