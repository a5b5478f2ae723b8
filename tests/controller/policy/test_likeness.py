# SPDX-License-Identifier: Apache-2.0
"""What is proposed for an exception holds of what it was made of, whatever a container chose to be called."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.policy.expression import parse
from controller.policy.likeness import like

_VALUES = st.fixed_dictionaries(
    {
        name: st.none() | st.text(max_size=60)
        for name in ("container.image", "container.name", "means", "principal")
    }
)


@given(_VALUES)
def test_it_holds_of_what_it_was_made_of(values):
    made = like({**values, "host": "edge-1"})
    assert parse(made).holds({**{name: it for name, it in values.items() if it}, "host": "edge-1"})


def test_it_does_not_hold_of_another_principal():
    made = like({"container.image": "nginx:1.27", "means": "docker-exec", "principal": "jane"})
    assert made == 'container.image == "nginx:1.27" and means == "docker-exec" and principal == "jane"'
    other = {"container.image": "nginx:1.27", "means": "docker-exec", "principal": "joe"}
    assert not parse(made).holds(other)


def test_nothing_is_proposed_where_nothing_says_where():
    assert like({"principal": "jane"}) == ""
