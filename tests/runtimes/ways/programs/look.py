# SPDX-License-Identifier: Apache-2.0
"""look.py back|thread|stay PID [SECONDS]: join the mount namespace, look at a file there, execute nothing.

back comes back to where it was; thread does it in a thread that ends; stay waits inside.
"""

import ctypes
import os
import sys
import threading
import time

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_FS = 0x200


def checked(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def look():
    checked(LIBC.unshare(CLONE_FS))
    checked(LIBC.setns(there, 0))
    os.scandir("/bin").close()
    seen.append(True)


how, pid, *seconds = sys.argv[1:]
here, there = os.open("/proc/self/ns/mnt", os.O_RDONLY), os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
seen = []
if how == "thread":
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
else:
    look()
if how == "back":
    checked(LIBC.setns(here, 0))
if how == "stay":
    time.sleep(float(seconds[0]))
sys.exit(0 if seen else 1)
