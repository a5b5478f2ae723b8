# SPDX-License-Identifier: Apache-2.0
"""chroots.py PID: make a container's files the root directory, then run two commands there, one after the other."""

import os
import subprocess
import sys

os.chroot(f"/proc/{sys.argv[1]}/root")
os.chdir("/")
for argument in ("true", "false"):
    subprocess.run(["/bin/busybox", argument], check=False)
