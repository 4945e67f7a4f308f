from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparkclin.cli import main
from sparkclin.models.bundle import TOKENIZER_FILE, Bundle
from sparkclin.models.pretrained import MODELS_VARIABLE
from sparkclin.models.repository import ModelRepository
from sparkclin.schema import EMBED, ENTITIES
from sparkclin.spark.settings import defaults_conf
from testkit.bundles import CREATED_MS, manifest_of, stage
from tests.sparkclin.processes import run_python


@pytest.fixture
def bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Bundle]:
    """Two versions of `tiny` and one of `klein` (de, for entities), in the repository that $SPARKCLIN_MODELS names."""
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path))
    made = []
    for name, language, task in [("tiny", "en", EMBED), ("tiny", "en", EMBED), ("klein", "de", ENTITIES)]:
        staged = stage(tmp_path, name=name)
        manifest = manifest_of(staged, name=name, language=language, task=task)
        made.append(ModelRepository(tmp_path).register(staged, manifest))
    return made


def test_list_shows_the_newest_version_of_each(bundles: list[Bundle], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["NAME", "LANGUAGE", "TASK", "ENGINE"]
    assert [line.split()[:3] for line in lines[1:]] == [["klein", "de", "entities"], ["tiny", "en", "embed"]]
    assert lines[2].endswith(bundles[1].path.name)


def test_list_all_shows_every_version(bundles: list[Bundle], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "--all"]) == 0
    folders = [line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:]]
    assert folders == [bundles[2].path.name, bundles[1].path.name, bundles[0].path.name]


def test_describe_prints_a_card_or_the_manifest(bundles: list[Bundle], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "describe", "tiny"]) == 0
    newest, older = bundles[1].path.name, bundles[0].path.name
    card = capsys.readouterr().out
    assert card.startswith("tiny (en)\n")
    assert [line.split()[-1] for line in card.splitlines() if "fp32  " in line] == [newest, older]
    assert main(["models", "describe", "tiny", "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["location"] == bundles[1].location
    assert described["max_pieces"] == bundles[1].manifest.max_pieces
    assert "files" not in described


def test_check_passes_what_is_as_exported(bundles: list[Bundle], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "check"]) == 0
    assert capsys.readouterr().out.count("2 files as exported") == len(bundles)


def test_check_fails_what_is_not(bundles: list[Bundle], capsys: pytest.CaptureFixture[str]) -> None:
    (bundles[0].path / TOKENIZER_FILE).write_text("altered", encoding="utf-8")
    assert main(["models", "check", "tiny"]) == 0  # the newest version is whole
    assert main(["models", "check"]) == 1
    assert f"{bundles[0].location}: {TOKENIZER_FILE}: changed" in capsys.readouterr().out


@pytest.mark.usefixtures("bundles")
def test_an_error_is_one_line_and_a_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "describe", "klein", "--language", "en"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("sparkclin: there is no model 'klein' (en)")
    assert len(error.splitlines()) == 1


@pytest.mark.usefixtures("bundles")
def test_a_name_in_two_languages_needs_the_language(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for action in ("describe", "check"):
        assert main(["models", action, "klein"]) == 0
    staged = stage(tmp_path, name="klein")
    ModelRepository(tmp_path).register(staged, manifest_of(staged, name="klein", language="en"))
    for action in ("describe", "check"):
        capsys.readouterr()
        assert main(["models", action, "klein"]) == 1
        assert "has 'klein' in 2 languages (de, en): choose one with --language" in capsys.readouterr().err
        assert main(["models", action, "klein", "--language", "de"]) == 0


@pytest.mark.usefixtures("bundles")
@pytest.mark.parametrize("place", [1, 2, 3])
def test_the_option_goes_before_the_variable(tmp_path: Path, place: int, capsys: pytest.CaptureFixture[str]) -> None:
    """`--models` stands before the action or after it."""
    elsewhere = tmp_path / "elsewhere"
    staged = stage(elsewhere, name="other")
    ModelRepository(elsewhere).register(staged, manifest_of(staged, name="other"))
    for action in (["list"], ["describe", "other"], ["check", "other"]):
        command = ["models", *action]
        assert main([*command[:place], "--models", str(elsewhere), *command[place:]]) == 0
        assert "other" in capsys.readouterr().out
    assert main(["models", "--models", str(tmp_path / "nowhere"), "list"]) == 1
    assert "nowhere has no metadata.json" in capsys.readouterr().err


@pytest.mark.usefixtures("bundles")
def test_models_alone_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    alone = capsys.readouterr().out
    assert main(["models", "list"]) == 0
    assert alone == capsys.readouterr().out


def test_spark_defaults_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spark-defaults"]) == 0
    assert capsys.readouterr().out == defaults_conf()


def test_it_runs_as_a_module(bundles: list[Bundle]) -> None:
    root = str(bundles[0].path.parent)
    code = "import runpy, sys; sys.argv[0] = 'sparkclin'; runpy.run_module('sparkclin', run_name='__main__')"
    outcome = run_python(code, "models", "--models", root, "list")
    assert outcome.returncode == 0, outcome.stderr
    assert str(CREATED_MS + 1) in outcome.stdout
