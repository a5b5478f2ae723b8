# SPDX-License-Identifier: Apache-2.0
"""What stands around an event: container, runtime, process and user, each from its own source.

Read in this order: `containers` (which container is it), `metadata` (what is it called), and below them the
sources: `procfs`, `cgroup`, `supervisor`, `docker`, `bundle`.
"""
