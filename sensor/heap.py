# SPDX-License-Identifier: Apache-2.0
"""The process's own memory: kept in one place, and given back when it is free.

glibc keeps what was freed, for each thread in an arena of its own (mallopt(3), malloc_trim(3)). A sensor starts
with a burst, by its imports and libbpf's reading of the kernel's types, and then allocates little, in few threads:
the arenas gain it nothing, and what is left of the burst would be resident for good.
"""

from __future__ import annotations

import ctypes
import gc
from typing import Final

_M_ARENA_MAX: Final = -8
_LIBC: Final = ctypes.CDLL(None)


def share() -> None:
    """Have all threads allocate from one arena. Before the first thread; a C library that has none is left alone."""
    mallopt = getattr(_LIBC, "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def settle() -> None:
    """The start is over: what lives now lives on, and is no more looked through for garbage."""
    gc.collect()
    gc.freeze()
    give_back()


def give_back() -> None:
    """Return what is free to the kernel: a millisecond or less."""
    trim = getattr(_LIBC, "malloc_trim", None)
    if trim is not None:
        trim(0)
