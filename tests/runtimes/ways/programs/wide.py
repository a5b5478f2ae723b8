# SPDX-License-Identifier: Apache-2.0
"""wide.py PID COMMAND...: join a mount namespace by the 32-bit system call, then run the command in a child."""

import ctypes
import mmap
import os
import subprocess
import sys

SETNS_32 = 346
pid, *command = sys.argv[1:]
handle = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
# push rbx; mov ebx, edi; xor ecx, ecx; mov eax, SETNS_32; int 0x80; pop rbx; ret
code = b"\x53\x89\xfb\x31\xc9\xb8" + SETNS_32.to_bytes(4, "little") + b"\xcd\x80\x5b\xc3"
page = mmap.mmap(-1, len(code), prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(code)
call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
result = call(handle)
if result:
    raise OSError(-result, "setns by int 0x80")
sys.exit(subprocess.call(command))
