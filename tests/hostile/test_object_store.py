"""Outputs on an object store; on_object_store.py has the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.own_jvm import check_tests


@pytest.mark.cluster
def test_outputs_on_an_object_store(jars: list[Path]) -> None:
    check_tests(Path(__file__).with_name("on_object_store.py"), JARS=str(jars[0].parent))
