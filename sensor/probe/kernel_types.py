# SPDX-License-Identifier: Apache-2.0
"""The running kernel's types, from its BTF: what bcc compiles against in place of kernel headers."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Final

from sensor.probe import BPF_SOURCES, ProbeError
from sensor.probe.btf import STRUCT, Btf
from sensor.probe.header import Header

_BTF: Final = Path("/sys/kernel/btf/vmlinux")
_HELPERS: Final = re.compile(rb"\(void \*\) ?BPF_FUNC_")
_CONSTANT: Final = re.compile(rb"\bBPF_[A-Z0-9_]+")
_HELPER: Final = re.compile(r"\(void \*\) ?(BPF_FUNC_[a-z0-9_]+)")
_FIELDS: Final = {"mm_struct": ("arg_start", "arg_end", "exe_file")}
"""Those that are read by a number instead of a name: bpf/loader_bcc.h says why."""
_PERHAPS: Final = {"mm_struct": ("owner",)}
"""The same, 0 where the kernel has none (without memory cgroups); the first member of a struct is none of these."""


def headers(folder: Path, source: str, compiler: bytes) -> list[str]:
    """Puts the stubs and vmlinux.h into `folder`; the flags that tell the program what this kernel has.

    bcc compiles against the kernel that runs, so it cannot ask at load as CO-RE does. `compiler` is bcc's library:
    it holds the C that is compiled before ours, and names that it writes into it. Raises ProbeError.
    """
    try:
        btf = Btf(_BTF.read_bytes())
    except OSError as error:
        raise ProbeError(
            f"{_BTF} cannot be read: {error.strerror}; the kernel needs CONFIG_DEBUG_INFO_BTF"
        ) from error
    except ValueError as error:
        raise ProbeError(f"{_BTF} cannot be read as types: {error}; use --loader core") from error
    shutil.copytree(BPF_SOURCES / "stubs" / "include", folder / "include")
    prelude = b"\n".join(_texts(compiler)).decode(errors="replace")
    constants = " ".join(sorted(name.decode() for name in set(_CONSTANT.findall(compiler))))
    header = Header(btf, "\n".join((source, prelude, constants)))
    (folder / "include" / "vmlinux.h").write_text(header.text())
    return [
        f"-DHAS_pids_cgrp_id={int(header.has('pids_cgrp_id'))}",
        *(["-DHAS_AUDIT"] if "loginuid" in _members(btf, "task_struct") else []),
        *_unknown_helpers(header, prelude),
        *(f"-DOFFSET_{field}={offset}" for field, offset in _offsets(btf).items()),
    ]


def _texts(compiler: bytes) -> list[bytes]:
    """The strings that name helpers, whole: each is looked for from its helper, for the file has 100 MB."""
    found: dict[int, bytes] = {}
    for helper in _HELPERS.finditer(compiler):
        begin = compiler.rfind(b"\0", 0, helper.start()) + 1
        if begin not in found:
            end = compiler.find(b"\0", helper.end())
            found[begin] = compiler[begin : end if end >= 0 else len(compiler)]
    return list(found.values())


def _unknown_helpers(header: Header, prelude: str) -> list[str]:
    """The kernel's helpers that bcc's own header names and this kernel is too old for: never called, so any number.

    Debian's bcc 0.26 knows those of 6.2, and so cannot compile an empty program against the types of 6.1.
    """
    return [f"-D{helper}=0" for helper in sorted(set(_HELPER.findall(prelude))) if not header.has(helper)]


def _offsets(btf: Btf) -> dict[str, int]:
    """Byte offsets by struct and field. Raises ProbeError."""
    found: dict[str, int] = {}
    for struct, fields in _FIELDS.items():
        members = _members(btf, struct)
        missing = [field for field in fields if field not in members]
        if missing:
            raise ProbeError(f"the kernel's types have no {struct}.{missing[0]}; use --loader core")
        found |= {f"{struct}_{field}": members[field] for field in fields}
        found |= {f"{struct}_{field}": members.get(field, 0) for field in _PERHAPS.get(struct, ())}
    return found


def _members(btf: Btf, name: str) -> dict[str, int]:
    """Member to byte offset, those of anonymous inner structs included."""
    place = btf.places(frozenset({name})).get(name, 0)
    numbers = btf.named.get((STRUCT, place), [])
    return dict(btf.fields(numbers[0])) if numbers else {}
