# SPDX-License-Identifier: Apache-2.0
"""Records: what the host's container runtimes say happened, read from their event streams as it comes.

`sources` finds the daemons and reads each in a thread; `docker` and `containerd` know what these say; `said`
is what they have in common. The controller joins them with what the kernel saw.
"""
