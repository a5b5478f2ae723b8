# SPDX-License-Identifier: Apache-2.0
"""The one step from the kernel's clock to the host's."""

import time


def wall_clock(mono: int) -> int:
    """The host's clock at a moment since boot: by the clocks' distance now, which steps with the clock."""
    return mono + time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
