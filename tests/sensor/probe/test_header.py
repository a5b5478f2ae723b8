# SPDX-License-Identifier: Apache-2.0
"""BTF is read as the kernel writes it, and the C that is made of it has the kernel's own sizes and places."""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensor.probe.btf import ARRAY, INT, PTR, STRUCT, TYPEDEF, UNION, Btf
from sensor.probe.header import Header

BTF = Path("/sys/kernel/btf/vmlinux")
TYPEDEF_OF_IT = "typedef unsigned int u32;"
ALIGNED = (
    TYPEDEF_OF_IT
    + """
struct inner { u32 first; u32 second; };
union either { u32 small; unsigned long long wide; };
struct outer {
    char before;
    struct inner placed __attribute__((aligned(64)));
    struct { u32 nested; union { u32 this_one; void *that_one; }; };
    u32 flag : 3;
    u32 numbers[5];
    union either choice;
    struct outer *next;
    void (*call)(struct outer *);
    u32 unread;
} __attribute__((aligned(64)));
enum colour { RED = 3, GREEN = -1 };
struct outer one;
enum colour other;
"""
)


class Assembled:
    """BTF by hand: each method adds a type and gives its number."""

    def __init__(self):
        self.types, self.strings, self.count = b"", b"\0", 0

    def name(self, text):
        """Each text stands there once, as in a kernel's."""
        if b"\0" + text.encode() + b"\0" not in self.strings:
            self.strings += text.encode() + b"\0"
        return self.strings.index(b"\0" + text.encode() + b"\0") + 1 if text else 0

    def add(self, kind, name, last, parts=0, rest=b""):
        self.types += struct.pack("<III", self.name(name), kind << 24 | parts, last) + rest
        self.count += 1
        return self.count

    def int(self, name, size):
        return self.add(INT, name, size, rest=struct.pack("<I", size * 8))

    def struct(self, name, size, *members, kind=STRUCT):
        rest = b"".join(struct.pack("<III", self.name(each), of, 8 * at) for each, of, at in members)
        return self.add(kind, name, size, len(members), rest)

    def data(self):
        head = struct.pack(
            "<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(self.types), len(self.types), len(self.strings)
        )
        return head + self.types + self.strings


def compiled(header, source, folder):
    """Whether clang takes the header, with all that it asserts, and then a program."""
    (folder / "it.c").write_text(f"{header}\n{source}")
    command = ["clang", "-target", "bpf", "-Wno-everything", "-fsyntax-only", folder / "it.c"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:3000]


@pytest.fixture(scope="module")
def aligned(tmp_path_factory):
    """BTF as a compiler writes it, of types that bpftool cannot write back."""
    folder = tmp_path_factory.mktemp("btf")
    (folder / "types.c").write_text(ALIGNED)
    build = ["clang", "-target", "bpf", "-g", "-c", folder / "types.c", "-o", folder / "types.o"]
    subprocess.run(build, check=True)
    take = [
        "objcopy",
        "-I",
        "elf64-little",
        "--dump-section",
        f".BTF={folder / 'btf'}",
        folder / "types.o",
        "/dev/null",
    ]
    subprocess.run(take, check=True)
    return Btf((folder / "btf").read_bytes())


def test_a_member_that_is_aligned_more_than_its_type_and_what_follows_it_stand_where_they_are(
    aligned, tmp_path
):
    names = ("placed.first", "nested", "that_one", "numbers[3]", "choice.wide", "next")
    text = Header(aligned, f"struct outer *it; {' '.join(names)}").text()
    true = re.sub(r"\b(outer|inner|either|colour|RED|GREEN)\b", r"true_\1", ALIGNED).replace(
        TYPEDEF_OF_IT, ""
    )
    places = [
        (f"__builtin_offsetof(struct {of}, {each})" for of in ("outer", "true_outer")) for each in names
    ]
    checks = [f'_Static_assert({found} == {wanted}, "");' for found, wanted in places]
    checks.append('_Static_assert(sizeof(struct outer) == sizeof(struct true_outer), "");')
    compiled(text + true, "\n".join(checks), tmp_path)


def test_what_the_source_does_not_name_is_bytes_and_a_bit_field_too(aligned):
    text = Header(aligned, "struct outer flag before").text()
    assert " before;" in text
    assert "unread" not in text
    assert "flag" not in text
    assert "inner" not in text


def test_enumerators_have_their_values(aligned, tmp_path):
    text = Header(aligned, "enum colour it; GREEN").text()
    compiled(text, '_Static_assert(GREEN == -1, ""); enum colour it;', tmp_path)
    assert "RED" not in text


def test_two_structs_of_one_name_are_two(tmp_path):
    btf = Assembled()
    byte = btf.int("char", 1)
    btf.struct("twin", 4, ("own", byte, 3))
    other = btf.struct("twin", 8, ("own", byte, 5))
    pointer = btf.add(PTR, "", other)
    btf.struct("holder", 8, ("to", pointer, 0))
    text = Header(Btf(btf.data()), "struct holder twin own to; struct twin").text()
    check = '_Static_assert(sizeof(struct twin) == 4 && sizeof(*((struct holder *)0)->to) == 8, "both");'
    compiled(text, check, tmp_path)


def test_arrays_typedefs_and_unions_of_any_depth(tmp_path):
    btf = Assembled()
    byte = btf.int("char", 1)
    four = btf.add(ARRAY, "", 0, rest=struct.pack("<III", byte, byte, 4))
    table = btf.add(ARRAY, "", 0, rest=struct.pack("<III", four, byte, 3))
    named = btf.add(TYPEDEF, "table_t", table)
    inner = btf.struct("", 12, ("rows", named, 0), kind=UNION)
    btf.struct("holder", 16, ("", inner, 4))
    text = Header(Btf(btf.data()), "struct holder rows").text()
    check = '_Static_assert(__builtin_offsetof(struct holder, rows[2][1]) == 13, "row by row");'
    compiled(text, check, tmp_path)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_btf_are_refused_in_words(data):
    with pytest.raises(ValueError, match=r"it (begins|is cut)"):
        Btf(data if data[:2] != b"\x9f\xeb" else b"")


@given(st.data())
def test_btf_that_was_cut_or_changed_is_read_or_refused_and_nothing_else(data):
    btf = Assembled()
    byte = btf.int("char", 1)
    btf.struct("holder", 16, ("one", byte, 4), ("other", byte, 8))
    whole = bytearray(btf.data())
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    try:
        Btf(cut).places(frozenset({"holder"}))
    except ValueError:
        return


@pytest.mark.kernel
def test_of_the_running_kernel_all_that_our_programs_name_has_its_place(tmp_path):
    btf = Btf(BTF.read_bytes())
    text = Header(
        btf, "struct task_struct; struct mount; nsproxy fs real_parent mnt_ns root loginuid val"
    ).text()
    compiled(
        text, "struct nsproxy *of(struct task_struct *task) { return task->real_parent->nsproxy; }", tmp_path
    )
    assert len(text) < 200_000
