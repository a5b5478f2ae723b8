# SPDX-License-Identifier: Apache-2.0
"""What the sensor needs: named checks, each with the command that mends it. `run` asks them first."""

from sensor.doctor.check import Check, exit_code
from sensor.doctor.everything import everything
from sensor.doctor.preconditions import Surroundings, preconditions, require

__all__ = ["Check", "Surroundings", "everything", "exit_code", "preconditions", "require"]
