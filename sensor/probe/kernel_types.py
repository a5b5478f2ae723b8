# SPDX-License-Identifier: Apache-2.0
"""The running kernel's types, from its BTF by bpftool: what bcc compiles against in place of kernel headers."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from sensor.probe import BPF_SOURCES, ProbeError

_BTF: Final = Path("/sys/kernel/btf/vmlinux")


def headers(folder: Path) -> Path:
    """Puts the stubs and vmlinux.h into `folder`, and says where the latter is. Raises ProbeError."""
    shutil.copytree(BPF_SOURCES / "stubs" / "include", folder / "include")
    vmlinux = folder / "include" / "vmlinux.h"
    vmlinux.write_text(_bpftool("btf", "dump", "file", str(_BTF), "format", "c"))
    return vmlinux


def _bpftool(*arguments: str) -> str:
    try:
        return subprocess.run(
            ["bpftool", *arguments], capture_output=True, text=True, check=True, timeout=60
        ).stdout
    except FileNotFoundError as error:
        raise ProbeError("bpftool is missing; install it: apt-get install bpftool") from error
    except subprocess.SubprocessError as error:
        raise ProbeError(
            f"{_BTF} cannot be read as types: {error}; the kernel needs CONFIG_DEBUG_INFO_BTF"
        ) from error


def features(vmlinux: Path, compiler: bytes) -> list[str]:
    """What this kernel has, as macros: bcc compiles against it, so it cannot ask at load as CO-RE does.

    `compiler` is bcc's library. Raises ProbeError.
    """
    types = vmlinux.read_text()
    return [
        f"-DHAS_pids_cgrp_id={int('pids_cgrp_id' in types)}",
        *(["-DHAS_AUDIT"] if "kuid_t loginuid;" in types else []),
        *_unknown_helpers(types, compiler),
        *(f"-DOFFSET_{field}={offset}" for field, offset in _offsets().items()),
    ]


def _unknown_helpers(types: str, compiler: bytes) -> list[str]:
    """The kernel's helpers that bcc's own header names and this kernel is too old for: never called, so any number.

    Debian's bcc 0.26 knows those of 6.2, and so cannot compile an empty program against the types of 6.1.
    """
    named = {match.decode() for match in _HELPER.findall(compiler)}
    known = set(_ENUMERATOR.findall(types))
    return [f"-D{helper}=0" for helper in sorted(named - known)]


_HELPER: Final = re.compile(rb"\(void \*\) ?(BPF_FUNC_[a-z0-9_]+)")
_ENUMERATOR: Final = re.compile(r"\b(BPF_FUNC_[a-z0-9_]+) =")
_FIELDS: Final = {"mm_struct": ("arg_start", "arg_end", "exe_file"), "task_struct": ("nsproxy",)}
"""Those whose place is taken from BTF, or, in task_struct, compared with what the compiler makes of the types."""
_TYPE: Final = re.compile(r"^\[(\d+)\] STRUCT '([^']*)'")
_MEMBER: Final = re.compile(r"^\t'([^']*)' type_id=(\d+) bits_offset=(\d+)")


def _offsets() -> dict[str, int]:
    """Byte offsets by struct and field, also of those that stand in anonymous structs. Raises ProbeError."""
    dump = _bpftool("btf", "dump", "file", str(_BTF))
    found: dict[str, int] = {}
    for struct, fields in _FIELDS.items():
        members = _struct_members(dump, struct)
        missing = [field for field in fields if field not in members]
        if missing:
            raise ProbeError(f"the kernel's types have no {struct}.{missing[0]}; use --loader core")
        found |= {f"{struct}_{field}": members[field] for field in fields}
    return found


def _struct_members(dump: str, name: str) -> dict[str, int]:
    """Member to byte offset, anonymous inner structs included, from bpftool's raw dump of BTF."""
    structs: dict[str, list[tuple[str, str, int]]] = {}
    wanted = current = ""
    for line in dump.splitlines():
        if head := _TYPE.match(line):
            current = head.group(1)
            structs[current] = []
            if head.group(2) == name:
                wanted = current
        elif current and (member := _MEMBER.match(line)):
            structs[current].append((member.group(1), member.group(2), int(member.group(3)) // 8))
        else:
            current = ""

    def flatten(type_id: str, base: int) -> dict[str, int]:
        found: dict[str, int] = {}
        for member, inner, offset in structs.get(type_id, []):
            found |= flatten(inner, base + offset) if member == "(anon)" else {member: base + offset}
        return found

    return flatten(wanted, 0)
