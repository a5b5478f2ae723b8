# SPDX-License-Identifier: Apache-2.0
"""`python -m sensor` is `nsentry-sensor`."""

from sensor.cli import main

main(prog_name="nsentry-sensor")
