# SPDX-License-Identifier: Apache-2.0
"""What other programs may ask of the controller, each with a token of its own: see docs/api.md."""
