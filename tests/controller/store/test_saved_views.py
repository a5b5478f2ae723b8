# SPDX-License-Identifier: Apache-2.0
"""Saved views: one of a name, bounded, removed for good."""

from __future__ import annotations

import pytest

from controller.store import saved_views
from tests.controller import make


def save(store, name, query="severity=high", author="ada"):
    store.write(lambda connection: saved_views.save(connection, name, query, author, make.BEGIN))


def names(store):
    with store.read() as connection:
        return [view.name for view in saved_views.all_(connection)]


def test_a_view_is_saved_replaced_and_removed(store):
    save(store, " mine ")
    save(store, "all high")
    save(store, "mine", "assignee=ada", "bob")

    with store.read() as connection:
        assert saved_views.all_(connection)[1] == ("mine", "assignee=ada", "bob")
    assert store.write(lambda connection: saved_views.remove(connection, "mine"))
    assert not store.write(lambda connection: saved_views.remove(connection, "mine"))
    assert names(store) == ["all high"]


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\x1b[2J", "a\u202eb"])
def test_a_name_that_nobody_could_read_is_refused(store, name):
    with pytest.raises(ValueError, match="needs a name"):
        save(store, name)
    assert names(store) == []


def test_views_are_bounded_and_one_that_is_there_can_still_be_changed(store):
    for number in range(saved_views.MAX_VIEWS):
        save(store, f"view {number:02}")
    with pytest.raises(ValueError, match="remove one"):
        save(store, "one more")
    save(store, "view 00", "q=changed")
    with pytest.raises(ValueError, match="at most"):
        save(store, "view 01", "q=" + "x" * saved_views.MAX_QUERY)
    assert len(names(store)) == saved_views.MAX_VIEWS
