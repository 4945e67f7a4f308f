"""CONTRIBUTING.md promises where the tests of a module are."""

from __future__ import annotations

from pathlib import Path

import pytest

from testkit.material import CHECKOUT
from testkit.mirror import elsewhere, files_testing, main, mirror_of, modules

MODULES = modules()


def test_every_module_has_tests_in_the_file_of_its_name_or_in_those_of_the_table() -> None:
    without = [
        module for module in MODULES if not (CHECKOUT / mirror_of(module)).exists() and module not in elsewhere()
    ]
    assert without == []


def test_the_table_names_modules_and_test_files_that_exist() -> None:
    assert [module for module in elsewhere() if module not in MODULES] == []
    assert [file for files in elsewhere().values() for file in files if not (CHECKOUT / file).exists()] == []


def test_a_table_s_line_adds_files_to_the_mirrored_one() -> None:
    repeated = [module for module, files in elsewhere().items() if mirror_of(module) in files or not files]
    assert repeated == []


def test_the_links_in_the_package_are_no_modules_of_their_own() -> None:
    assert Path("export/convert.py") in MODULES
    assert not any(module.is_relative_to("sparkclin/export") for module in MODULES)


def test_the_command_prints_files_for_pytest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sparkclin/runs/sink.py", "sparkclin/maps/colors.py"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "tests/sparkclin/maps/test_note_map.py",
        "tests/sparkclin/runs/test_sink.py",
    ]
    assert files_testing(Path("sparkclin/runs/sink.py")) == (Path("tests/sparkclin/runs/test_sink.py"),)


def test_a_file_that_is_no_module_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sparkclin/runs/sinks.py"]) == 1
    assert "not a module of sparkclin, export, evaluation: sparkclin/runs/sinks.py" in capsys.readouterr().err
