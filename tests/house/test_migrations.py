# SPDX-License-Identifier: Apache-2.0
"""The steps of the database are one chain: two that were made at the same time have not got the same place."""

from __future__ import annotations

import re
from pathlib import Path

from controller.store.migrate import REVISIONS

STEPS = sorted((Path(__file__).parents[2] / "controller/store/migrations/versions").glob("[0-9]*.py"))


def test_each_step_follows_the_one_before_and_is_known():
    found = [
        re.findall(r'^(?:down_)?revision = (?:"(\d+)"|None)', path.read_text(), re.MULTILINE)
        for path in STEPS
    ]
    assert [own for own, _ in found] == [path.name[:4] for path in STEPS] == list(REVISIONS)
    assert [before for _, before in found] == ["", *REVISIONS[:-1]]
