# SPDX-License-Identifier: Apache-2.0
"""The agent on a container host: from the kernel's events to the controller, losing nothing on the way."""

__version__ = "0.1.0"
