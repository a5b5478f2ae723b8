# SPDX-License-Identifier: Apache-2.0
"""What lies on disk between the pipeline and the controller: nothing is lost unless it is counted."""

from sensor.spool.queue import Lane, Spool
from sensor.spool.rows import Pending

__all__ = ["Lane", "Pending", "Spool"]
