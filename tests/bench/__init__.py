# SPDX-License-Identifier: Apache-2.0
"""Benchmarks. They print figures of one run, and ratios where the machine's noise would drown a figure."""
