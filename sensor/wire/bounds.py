# SPDX-License-Identifier: Apache-2.0
"""Version and bounds of the contract: what neither side may exceed."""

from __future__ import annotations

from typing import Final

VERSION: Final = 1
"""Version of this contract. A controller answers 426 to one that it does not read."""

MAX_BATCH_BYTES: Final = 4 * 1024 * 1024
MAX_BATCH_EVENTS: Final = 1000
MAX_TEXT: Final = 4096
"""Longest string of an event, in characters; longer ones are cut by the sensor, refused by the controller."""
MAX_ARGS: Final = 512
"""Most arguments of one command line; `argv_cut` says when there were more."""
MAX_ANCESTRY: Final = 32
MAX_CLIENTS: Final = 32
"""Most clients of a daemon that one entry carries; the latest."""

MAX_ADDRESSES: Final = 16
"""Addresses that are told of one container."""
MAX_SETTINGS: Final = 256
"""Most mounts, devices, ports or names in one setting of a container; the rest is cut by the sensor."""
MAX_DIFFERENCE: Final = 200
"""Most lines of what differs in one file; `difference_cut` says when there were more."""
