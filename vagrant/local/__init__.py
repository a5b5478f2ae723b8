# SPDX-License-Identifier: Apache-2.0
"""The smallest lab: controller and sensor on this host, from this checkout. `make up` and `make demo` run it.

It drives both by their command lines, as an operator would, and keeps everything below `var/`.
"""
