"""What the command says without doing anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkclin.errors import OptionError
from sparkclin.export.__main__ import main, summary
from sparkclin.export.convert import notes_to_compare

EXACT = {
    "id_rows": 18,
    "id_rows_identical": 18,
    "vectors": [{"max_abs_difference": 4e-6}, {"max_abs_difference": 2e-6}],
}


def test_int8_without_onnx_is_an_error_that_says_what_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["a_checkpoint", "--name", "a_model", "--models", str(tmp_path), "--precision", "int8"])
    assert status == 1
    assert "int8 with --engine onnx" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--language", "pt BR"), "--language 'pt BR': expected at most 100 letters, digits"),
        (("--language", ""), "--language ''"),
        (("--language", "../en"), "--language '../en'"),
        (("--name", "a" * 101), "--name 'aaa"),
        (("--name", "a b"), "--name 'a b'"),
        (("--description", "two\nlines"), r"--description 'two\nlines': expected a line"),
        (("--description", "\udcff"), "--description"),
    ],
)
def test_what_no_repository_can_hold_is_refused_before_the_export(
    option: tuple[str, str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = tmp_path / "models"
    assert main(["a_checkpoint", "--name", "a_model", "--models", str(models), *option]) == 1
    assert said in capsys.readouterr().err
    assert not models.exists()


@pytest.mark.parametrize("engine", ["tensorflow", "onnx"])
def test_a_folder_that_spark_nlp_cannot_load_from_is_refused_before_the_export(
    engine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = tmp_path / "my models"
    assert main(["a_checkpoint", "--name", "a_model", "--models", str(models), "--engine", engine]) == 1
    assert "--models: Spark NLP cannot load from" in capsys.readouterr().err
    assert not models.exists()


@pytest.mark.parametrize("option", [("--engine", "torch"), ("--precision", "int4")])
def test_an_unknown_choice_is_wrong_usage(option: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["a_checkpoint", "--name", "a_model", "--models", str(tmp_path), *option])
    assert raised.value.code == 2


@pytest.mark.parametrize("option", [("--engine", "onnx"), ("--precision", "fp32")])
def test_all_leaves_no_choice(option: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["a_checkpoint", "--name", "a_model", "--models", str(tmp_path), "--all", *option])
    assert raised.value.code == 2
    assert "leave out --engine and --precision" in capsys.readouterr().err


def test_notes_have_no_effect_on_fp32(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--notes has no effect on a model in fp32"):
        notes_to_compare("fp32", tmp_path / "notes.jsonl")


def test_the_figures_in_a_line() -> None:
    assert summary(EXACT) == "ids of 18 of 18 texts identical, max |Δ| 4.0e-06"
    figures = {"notes": 60, "documents": {"mean_cosine": 0.9999938, "worst_cosine": 0.99998}}
    assert summary({**EXACT, "precision": figures}) == (
        "ids of 18 of 18 texts identical, document vectors of 60 notes against fp32: cosine 0.99999 on average, "
        "0.99998 at worst"
    )
