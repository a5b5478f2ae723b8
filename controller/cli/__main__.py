# SPDX-License-Identifier: Apache-2.0
"""`python -m controller.cli`: the same program where it is not installed."""

from controller.cli import main

main(prog_name="nsentry-controller")
