# SPDX-License-Identifier: Apache-2.0
"""Text that others chose, made safe to put on the wire: bounded, and always encodable as UTF-8.

Control characters stay, as the contract says: whoever shows the text escapes them (`wire.printable`).
"""

from __future__ import annotations

from sensor.wire import MAX_TEXT


def clean(value: str | bytes, limit: int = MAX_TEXT) -> str:
    r"""`value` in at most `limit` characters; bytes that are no UTF-8 and lone surrogates stand as escapes.

    Lone surrogates come out of JSON (a ``\ud800`` in a label), and msgpack refuses to pack them.
    """
    if isinstance(value, str):
        value = value[:limit].encode("utf-8", "backslashreplace")
    # Four bytes are the longest character of UTF-8: the cut may split one, but only beyond the limit.
    return value[: 4 * limit].decode("utf-8", "backslashreplace")[:limit]
