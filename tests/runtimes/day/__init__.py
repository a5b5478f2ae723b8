# SPDX-License-Identifier: Apache-2.0
"""What people and machines do to containers on a day on which nobody enters one."""
