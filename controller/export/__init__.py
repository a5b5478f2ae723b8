# SPDX-License-Identifier: Apache-2.0
"""Alerts and events for other systems: what is told (`feed`), in which form, whereto, and how far each has come.

    store ▶ feed ▶ item ▶ formats (ocsf, ecs, cef, json) ▶ senders (syslog, webhook, files, paging)

Every destination is followed by a thread of its own with its own cursor in the store, so that one that is slow
or gone costs nothing but its backlog. Delivery is at least once and in order; a message told twice has the same id.
"""
