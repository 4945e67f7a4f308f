"""Delta tables that change during a run; on_delta.py has the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.own_jvm import check_tests


@pytest.mark.slow
def test_delta_tables_that_change() -> None:
    check_tests(Path(__file__).with_name("on_delta.py"))
