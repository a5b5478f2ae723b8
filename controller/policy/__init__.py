# SPDX-License-Identifier: Apache-2.0
"""What operators say is normal: exceptions, approval windows and knobs. Pure; `store` keeps it."""
