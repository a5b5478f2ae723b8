# SPDX-License-Identifier: Apache-2.0
"""What is staged is known by its container or its run, and by nothing that somebody else can write on his own."""

from __future__ import annotations

from controller.store import audit, emulations, schema
from controller.store.alert_rows import NewAlert
from controller.store.emulations import LONGEST_NS, Outcome

RUN = "0123456789ab"
NOW = 1_764_000_000 * 1_000_000_000


def begun(store):
    store.write(lambda at: emulations.begin(at, RUN, "ns_join", "docker", NOW))


def staged(store, container="c1", title="", now=NOW):
    with store.read() as at:
        seen = {"first_seen": now, "last_seen": now, "events": 1}
        alert = NewAlert("s", "h1", title, "", "docker-exec", container, None, None, None, **seen)
        return emulations.of_alerts(at, [alert], now)[0]


def test_a_container_of_a_run_is_known_for_good(store):
    begun(store)
    store.write(lambda at: emulations.made(at, RUN, ["c1"]))
    store.write(lambda at: emulations.ended(at, RUN, NOW, Outcome(True, 0.3, "s", "a", ("escape",))))
    assert staged(store, now=NOW + 10 * LONGEST_NS) == RUN
    assert staged(store, container="c2") is None


def test_the_name_of_a_run_counts_only_while_it_goes_on(store):
    title = f"Something: nsentry-emulation-{RUN}-pod"
    assert staged(store, title=title) is None, "nobody began it"
    begun(store)
    assert staged(store, title=title) == RUN
    assert staged(store, title=title, now=NOW + LONGEST_NS + 1) is None, "it never said how it ended"
    store.write(lambda at: emulations.ended(at, RUN, NOW, Outcome(True)))
    assert staged(store, title=title) is None, "it is over"


def test_a_detection_that_fell_silent_keeps_when_it_was_last_proven(store):
    for number, fired in enumerate((True, False)):
        run, at_ = f"run{number}", NOW + number
        store.write(lambda at, run=run, at_=at_: emulations.begin(at, run, "ns_join", "docker", at_))
        store.write(lambda at, run=run, fired=fired: emulations.ended(at, run, NOW + 9, Outcome(fired)))
    with store.read() as at:
        (proof,) = emulations.proofs(at)
    assert (proof["run"], proof["fired"], proof["proven_ns"]) == ("run1", False, NOW)


def test_a_proof_turns_stale_and_what_never_fired_proves_nothing(store):
    store.write(lambda at: emulations.begin(at, RUN, "ns_join", "docker", NOW))
    store.write(lambda at: emulations.ended(at, RUN, NOW, Outcome(True)))
    store.write(lambda at: emulations.begin(at, "run2", "escape", "docker", NOW))
    store.write(lambda at: emulations.ended(at, "run2", NOW, Outcome(False, error="no alert")))
    with store.read() as at:
        silent, fired = emulations.proofs(at)
    assert [emulations.standing(fired, since) for since in (NOW, NOW + 1)] == ["proven", "stale"]
    assert emulations.standing(silent, 0) == emulations.standing(None, 0) == "unproven"


def test_the_label_of_a_run_counts_only_while_it_goes_on(store):
    begun(store)
    body = {"fields": {"labels": {emulations.LABEL: RUN}}}
    row = {"host": "h1", "id": "c7", "body": body, "runtime": "docker", "first_seen": NOW, "last_seen": NOW}
    host = dict.fromkeys(("name", "kernel", "os", "arch", "sensor", "credential"), "x") | {
        "id": "h1",
        "enrolled": NOW,
    }
    store.write(lambda at: at.execute(schema.hosts.insert().values(**host)))
    store.write(lambda at: at.execute(schema.containers.insert().values(**row)))
    assert staged(store, container="c7") == RUN, "a second container of the run, whose id it has not told yet"
    store.write(lambda at: emulations.ended(at, RUN, NOW, Outcome(True)))
    assert staged(store, container="c7") is None, "anybody may write a label"


def test_the_knobs_of_a_run_count_for_its_containers_while_it_goes_on(store):
    mine = {"SourceIPRange": ["192.0.2.0/32"]}
    store.write(lambda at: emulations.begin(at, RUN, "source_range", "docker", NOW, staged=(mine, "ann")))
    store.write(lambda at: emulations.made(at, RUN, ["c1"]))

    def knobs(container, name=""):
        with store.read() as at:
            return emulations.knobs_of(at, "h1", container, name, NOW)

    assert knobs("c1") == knobs("c2", f"nsentry-emulation-{RUN}-pod") == mine
    assert knobs("c2", "web") is None, "another container keeps what operators have set"
    with store.read() as at:
        assert emulations.any_knobs(at, NOW)
        assert not emulations.any_knobs(at, NOW + LONGEST_NS + 1), (
            "it was killed: nothing of it is left in force"
        )
        assert {each["actor"] for each in audit.list_(at)} == {"ann, by emulate"}
    store.write(lambda at: emulations.ended(at, RUN, NOW, Outcome(True)))
    assert knobs("c1") is None
