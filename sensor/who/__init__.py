# SPDX-License-Identifier: Apache-2.0
"""Whom a visit may belong to: the processes outside, their logins, and who was connected to the daemons."""
