# SPDX-License-Identifier: Apache-2.0
"""The steps from an empty database to the present tables, as alembic runs them."""
