# SPDX-License-Identifier: Apache-2.0
"""From a request of a sensor to stored events, or to a refusal that says why."""
