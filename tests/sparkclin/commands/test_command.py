"""The table of commands, and those that other packages add."""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from sparkclin import __version__, cli
from sparkclin.commands.command import GROUP, Command, commands_of_others
from sparkclin.errors import SetupError
from tests.sparkclin.processes import run, run_python

ROOT = Path(__file__).parents[3]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def install(site: Path, value: str) -> None:
    """A package that adds the command `count`."""
    (site / "counting.py").write_text(
        "from sparkclin.commands.command import Command\n"
        "COMMAND = Command(help='count notes', module='counting')\n"
        "def main(arguments, *, prog):\n"
        "    print(prog, *arguments)\n"
        "    return 3\n"
    )
    folder = site / "counting-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: counting\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(f"[{GROUP}]\ncount = {value}\n")
    sys.modules.pop("counting", None)


def test_every_command_is_listed_with_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for name, command in cli.COMMANDS.items():
        assert f"\n  {name:14}  {command.help}\n" in said


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_usage_of_a_command_begins_with_what_was_typed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([name, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: sparkclin {name} ")


@pytest.mark.parametrize("name", ["embed", "ner", "classify", "answer"])
def test_and_so_does_that_of_a_program_of_spark_submit(name: str) -> None:
    done = run([sys.executable, program(name), "--help"])
    assert done.stdout.startswith(f"usage: spark-submit pipelines/{name}_notes.py --input PATH"), done.stderr


def program(name: str) -> str:
    return str(ROOT / "pipelines" / f"{name}_notes.py")


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_a_usage_text_does_not_wait_for_pyspark(name: str) -> None:
    code = (
        "import sys; from sparkclin.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit:\n    print('pyspark' in sys.modules)"
    )
    assert run_python(code, name, "--help").stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["embd"], "invalid choice: 'embd' (choose from 'embed', 'ner'"), ([], "required: COMMAND")],
)
def test_what_is_no_command_is_wrong_usage(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"sparkclin {__version__}\n"


def test_another_package_adds_a_command(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(site, "counting:COMMAND")
    assert cli.main(["count", "--fast", "x"]) == 3
    assert capsys.readouterr().out == "sparkclin count --fast x\n"
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert "count notes" in capsys.readouterr().out


@pytest.mark.parametrize("value", ["counting:NOTHING", "countless:COMMAND", "counting:main"])
def test_a_package_that_adds_no_command_is_named(site: Path, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    install(site, value)
    with pytest.raises(SetupError, match=f"the command 'count' cannot be taken from {value}"):
        commands_of_others()
    assert cli.main(["count"]) == 1
    assert capsys.readouterr().err.startswith("sparkclin: the command 'count' cannot be taken")
    assert cli.main(["spark-defaults"]) == 0  # ours do not depend on it


def test_export_is_a_command_that_its_package_adds(capsys: pytest.CaptureFixture[str]) -> None:
    """As pyproject.toml says, whenever this environment was installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    added = project["entry-points"][GROUP]
    assert set(added) == {"export"}
    command = EntryPoint(name="export", value=added["export"], group=GROUP).load()
    assert isinstance(command, Command)
    for arguments, usage in ((["--help"], "sparkclin export"), (["verify", "--help"], "sparkclin export verify")):
        with pytest.raises(SystemExit):
            command.run(arguments, prog="sparkclin export")
        assert capsys.readouterr().out.startswith(f"usage: {usage} [-h] ")
