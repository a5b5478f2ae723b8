# SPDX-License-Identifier: Apache-2.0
"""The entry matrix: every way into a container, one line each.

`way` says what a line holds, `targets` what is entered, and each other module lists ways: add a line there,
and `tests/runtimes/test_ways.py` goes that way for real, under both loaders.
"""
