# SPDX-License-Identifier: Apache-2.0
"""What kernel events mean: which crossing is an entry, which a start, and what belongs to a session."""
