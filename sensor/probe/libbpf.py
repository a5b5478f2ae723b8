# SPDX-License-Identifier: Apache-2.0
"""The system's libbpf.so.1 by ctypes: the functions that are used here, and what its failures mean."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from typing import Any, Final

from sensor.probe import ProbeError

_P: Final = ctypes.c_void_p
PRINT: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_char_p, _P)
_SIGNATURES: Final[dict[str, tuple[Any, list[Any]]]] = {
    "bpf_object__open_file": (_P, [ctypes.c_char_p, _P]),
    "bpf_object__load": (ctypes.c_int, [_P]),
    "bpf_object__close": (None, [_P]),
    "bpf_object__next_program": (_P, [_P, _P]),
    "bpf_object__find_map_fd_by_name": (ctypes.c_int, [_P, ctypes.c_char_p]),
    "bpf_program__attach": (_P, [_P]),
    "bpf_program__attach_kprobe": (_P, [_P, ctypes.c_bool, ctypes.c_char_p]),
    "bpf_program__name": (ctypes.c_char_p, [_P]),
    "bpf_program__set_attach_target": (ctypes.c_int, [_P, ctypes.c_int, ctypes.c_char_p]),
    "bpf_program__set_autoload": (ctypes.c_int, [_P, ctypes.c_bool]),
    "bpf_link__destroy": (ctypes.c_int, [_P]),
    "bpf_map_lookup_elem": (ctypes.c_int, [ctypes.c_int, _P, _P]),
    "bpf_map_delete_elem": (ctypes.c_int, [ctypes.c_int, _P]),
    "bpf_map_get_next_key": (ctypes.c_int, [ctypes.c_int, _P, _P]),
    "bpf_map_update_elem": (ctypes.c_int, [ctypes.c_int, _P, _P, ctypes.c_uint64]),
    "bpf_prog_load": (
        ctypes.c_int,
        [ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t, _P],
    ),
    "libbpf_find_vmlinux_btf_id": (ctypes.c_int, [ctypes.c_char_p, ctypes.c_int]),
    "bpf_link__fd": (ctypes.c_int, [_P]),
    "bpf_obj_get": (ctypes.c_int, [ctypes.c_char_p]),
    "bpf_obj_pin": (ctypes.c_int, [ctypes.c_int, ctypes.c_char_p]),
    "bpf_link__pin": (ctypes.c_int, [_P, ctypes.c_char_p]),
    "bpf_map__initial_value": (_P, [_P, _P]),
    "bpf_map__is_internal": (ctypes.c_bool, [_P]),
    "bpf_map__value_size": (ctypes.c_uint32, [_P]),
    "bpf_map__name": (ctypes.c_char_p, [_P]),
    "bpf_map__set_pin_path": (ctypes.c_int, [_P, ctypes.c_char_p]),
    "bpf_object__find_map_by_name": (_P, [_P, ctypes.c_char_p]),
    "bpf_object__next_map": (_P, [_P, _P]),
    "libbpf_num_possible_cpus": (ctypes.c_int, []),
    "libbpf_set_print": (_P, [PRINT]),
}


def load_library(name: str = "libbpf.so.1") -> ctypes.CDLL:
    """The library with the signatures that are used here. Raises ProbeError."""
    try:
        library = ctypes.CDLL(name, use_errno=True)
    except OSError as error:
        raise ProbeError(f"{name} cannot be loaded ({error}); install it: apt-get install libbpf1") from error
    for function, (result, arguments) in _SIGNATURES.items():
        getattr(library, function).restype = result
        getattr(library, function).argtypes = arguments
    return library


_REFUSED: Final = b"prog '%s': failed to load"


class Log:
    """Takes libbpf's own log, which would go to stderr and blames RLIMIT_MEMLOCK for whatever is refused."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._lines: list[str] = []
        format_text = ctypes.CDLL(None).vsnprintf
        format_text.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, _P]

        def keep(_level: int, template: bytes, arguments: int) -> int:
            if _REFUSED in template:
                text = ctypes.create_string_buffer(512)
                format_text(text, len(text), template, arguments)
                self._lines.append(text.value.decode(errors="replace"))
            return 0

        self._keep = PRINT(keep)
        library.libbpf_set_print(self._keep)

    def refused_program(self) -> str | None:
        """The program that the kernel refused in the latest load, by libbpf's word for it; forgets the rest."""
        lines, self._lines = self._lines, []
        return lines[-1].split("'")[1] if lines else None


_TRACING: Final = 26  # BPF_PROG_TYPE_TRACING
_FENTRY: Final = 24  # BPF_TRACE_FENTRY
_RETURN_0: Final = bytes([0xB7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0])


class _LoadOptions(ctypes.Structure):
    """struct bpf_prog_load_opts up to what is set here; `sz` tells libbpf where it ends."""

    _fields_ = (
        ("sz", ctypes.c_size_t),
        ("attempts", ctypes.c_int),
        ("expected_attach_type", ctypes.c_int),
        ("prog_btf_fd", ctypes.c_uint32),
        ("prog_flags", ctypes.c_uint32),
        ("prog_ifindex", ctypes.c_uint32),
        ("kern_version", ctypes.c_uint32),
        ("attach_btf_id", ctypes.c_uint32),
    )


def fentry_refused(library: ctypes.CDLL, function: str) -> str | None:
    """Why the kernel would refuse a program at `function`; None where it takes one. Leaves nothing loaded.

    A program of two instructions tells in 15 ms; a refusal of the whole object would cost three times that.
    """
    found = library.libbpf_find_vmlinux_btf_id(function.encode(), _FENTRY)
    if found <= 0:
        return f"no {function} in the kernel's types"
    options = _LoadOptions(sz=ctypes.sizeof(_LoadOptions), expected_attach_type=_FENTRY, attach_btf_id=found)
    handle = library.bpf_prog_load(
        _TRACING, b"trial", b"GPL", _RETURN_0, len(_RETURN_0) // 8, ctypes.byref(options)
    )
    if handle < 0:
        return name(-handle)
    os.close(handle)
    return None


def walk(
    library: ctypes.CDLL, descriptor: int, key_size: int, value_size: int, most: int
) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a map, at most `most`: it changes meanwhile, and a key that is gone begins it anew."""
    key, following = None, ctypes.create_string_buffer(key_size)
    value = ctypes.create_string_buffer(value_size)
    for _ in range(most):
        if library.bpf_map_get_next_key(descriptor, key, following):
            return
        key = following.raw
        if library.bpf_map_lookup_elem(descriptor, key, value) == 0:
            yield key, value.raw


def name(code: int) -> str:
    """An errno as a word."""
    return errno.errorcode.get(code, str(code))


def why(code: int) -> str:
    """An errno for a person, with what to do."""
    hints = {
        errno.EPERM: "run as root, or give CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN",
        errno.EACCES: "run as root; the verifier or tracefs refused",
        errno.ENOENT: "mount tracefs: mount -t tracefs nodev /sys/kernel/tracing",
    }
    return f"{name(code)} ({os.strerror(code)}); {hints.get(code, 'see nsentry-sensor doctor')}"
