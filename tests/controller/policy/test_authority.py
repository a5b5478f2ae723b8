# SPDX-License-Identifier: Apache-2.0
"""Whether a change was authorised, and by what."""

from __future__ import annotations

from controller.policy import knobs
from controller.policy.approval import Approval
from controller.policy.authority import decide
from controller.policy.principals import Principal
from tests.controller import make

JANE = Principal("jane", "person", None, "exact")
DEPLOYED = make.container(labels={"deployed-by": "argocd"})
EVENT = {"time": make.BEGIN, "container": DEPLOYED}
WINDOW = Approval(1, "jane", make.BEGIN - 1, make.BEGIN + 1, "4711", container="web")
NOBODY = Principal()


def said(who=JANE, windows=(), made=False, **set_):
    return decide(EVENT, "n1", who, windows, knobs.read(set_), made=made)


def test_nothing_is_authorised_where_nobody_said_who_may():
    assert said().authorised is False
    assert said().reason.startswith("nobody is authorised")


def test_a_window_that_fits_whole_authorises_and_says_itself():
    found = said(windows=[WINDOW])
    assert (found.authorised, found.by) == (True, "approval")
    assert "change 4711" in found.reason


def test_a_window_of_somebody_else_or_of_another_container_does_not():
    other = Approval(2, "bob", make.BEGIN - 1, make.BEGIN + 1, "1", container="web")
    elsewhere = Approval(3, "jane", make.BEGIN - 1, make.BEGIN + 1, "1", container="db")
    assert said(windows=[other]).reason == "no approval fits: the principal is jane"
    assert "container is web, not db" in said(windows=[elsewhere]).reason
    assert said(NOBODY, windows=[WINDOW]).reason == "who did it is not known"


def test_the_list_authorises_whom_it_names_if_it_is_sure_that_it_was_him():
    listed = {"AuthorizedAdminUsers": ["person:jane"]}
    assert said(**listed).by == "principal"
    assert (
        said(Principal("jane", "person", None, "weak"), **listed).reason
        == "that it was jane is not sure enough"
    )
    assert (
        said(Principal("bob", "person", None, "exact"), **listed).reason
        == "bob is not among the AuthorizedAdminUsers"
    )
    assert said(NOBODY, **listed).authorised is False


def test_a_label_authorises_what_was_made_and_no_change_by_a_persons_hand():
    labelled = {"DeployedByLabels": ["deployed-by=argo*"]}
    assert said(made=True, **labelled).by == "label"
    assert said(NOBODY, **labelled).by == "label"
    assert said(**labelled).reason == "it carries deployed-by=argocd, but jane changed it by hand"
    assert said(made=True, DeployedByLabels=["other"]).reason == "it carries no label of DeployedByLabels"


def test_of_a_host_only_a_window_for_the_host_counts_and_no_label_is_asked_for():
    asked = {"time": make.BEGIN, "container": None}
    here = Approval(4, "jane", make.BEGIN - 1, make.BEGIN + 1, "9", host="n1")
    labelled = knobs.read({"DeployedByLabels": ["deployed-by"]})
    assert decide(asked, "n1", JANE, [here], labelled, made=False).by == "approval"
    assert decide(asked, "n1", JANE, [WINDOW], labelled, made=False).reason.startswith(
        "no approval fits: its container"
    )
    assert "Labels" not in decide(asked, "n1", JANE, [], labelled, made=False).reason
