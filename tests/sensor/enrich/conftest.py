# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.sensor.enrich.proctree import ProcTree


@pytest.fixture
def tree(tmp_path):
    return ProcTree(tmp_path)
