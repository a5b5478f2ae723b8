# SPDX-License-Identifier: Apache-2.0
"""Sessions inside one another."""

from __future__ import annotations

from sensor.entry.track import Tracker
from tests.sensor.entry.test_track import COOKIE, INSIDE, Doors, execution, gone, kinds, setns


def test_a_session_is_never_within_itself_whatever_is_told() -> None:
    """A cookie that is told twice, as a recording could, must not have the sensor go round for ever."""
    tracker = Tracker(Doors())
    tracker.feed(setns(5, INSIDE))
    tracker.feed(execution(5, INSIDE))
    tracker.feed(setns(5, INSIDE, cookie=78, previous=COOKIE))
    tracker.feed(execution(5, INSIDE, cookie=78))
    tracker.feed(setns(5, INSIDE, previous=78))
    assert kinds(tracker, gone(5, cookie=78))
