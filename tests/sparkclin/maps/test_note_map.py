"""`sparkclin map` and what it shows, of vectors as a run writes them."""

from __future__ import annotations

import json
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparkclin.cli import main
from sparkclin.errors import InputError, OptionError
from sparkclin.maps.colors import coloring
from sparkclin.maps.columns import read_columns, shown
from sparkclin.maps.note_map import MapOptions, note_map
from sparkclin.maps.page import map_html
from testkit.browser import Browser, brightness, needs_chromium
from tests.sparkclin.processes import run_python

N_NOTES = 60
KINDS = ("Surgery", "Radiology", "<i>Letters</i>")


@dataclass(frozen=True)
class Run:
    """Three groups of notes that lie apart, and one note without a vector."""

    vectors: str
    notes: str


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    (folder / "vectors").mkdir()
    random = np.random.default_rng(0)
    centres = np.eye(3, 16) * 5
    vectors = [list(map(float, centres[i % 3] + random.normal(scale=0.3, size=16))) for i in range(N_NOTES)]
    ids = [*(f"n{i}" for i in range(N_NOTES)), "none"]
    table = pa.table(
        {
            "note_id": ids,
            "vector": pa.array([*vectors, None], pa.list_(pa.float32())),
            "n_pieces": pa.array([*range(N_NOTES), 0], pa.int32()),
        }
    )
    pq.write_table(table, folder / "vectors" / "part-0.parquet")
    (folder / "vectors" / "_report.json").write_text("{}")
    notes = [
        {"note_id": note, "kinds": ["All", KINDS[i % 3]], "ward": f"W{i % 2}", "text": f"secret {i}"}
        for i, note in enumerate(ids)
    ]
    lines = "".join(json.dumps(note) + "\n" for note in notes)
    (folder / "notes.jsonl").write_text(lines, encoding="utf-8")
    return Run(str(folder / "vectors"), str(folder / "notes.jsonl"))


def draw(run: Run, output: Path, *more: str) -> int:
    return main(["map", run.vectors, "--output", str(output), "--notes", run.notes, *more])


def test_the_command_writes_a_page_for_its_owner_and_says_what_is_in_it(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "map.html"
    assert draw(run, output, "--color", "kinds", "--hover", "ward", "n_pieces") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == str(output)
    assert said[1].startswith("- 60 notes by PCA, two components with ")
    assert said[2:] == ["- coloured by kinds", "- 1 notes without a vector are left out"]
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    page = output.read_text(encoding="utf-8")
    assert "secret" not in page
    assert data_of(page)["columns"] == ["note_id", "kinds", "ward", "n_pieces"]
    assert data_of(page)["rows"][4] == ["n4", "All, Radiology", "W0", "4"]


def data_of(page: str) -> Any:
    return json.loads(page.split('id="data">')[1].split("</script>")[0])


def test_text_is_shown_only_where_its_column_is_named_and_the_page_says_so(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "map.html"
    assert draw(run, output, "--hover", "text") == 0
    assert "- contains the text of notes: text" in capsys.readouterr().out
    page = output.read_text(encoding="utf-8")
    assert "secret 7" in page
    assert "This page contains the text of notes (text)." in page


def test_long_values_are_taken_for_text(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "long.csv"
    file.write_text("note_id,story\nn1," + "word " * 50 + "\n", encoding="utf-8")
    found = note_map(run.vectors, MapOptions(hover=("story",), notes=str(file)))
    assert found.text_columns == ("story",)


def test_a_page_needs_no_network_and_only_its_own_script_runs(run: Run) -> None:
    page = map_html(note_map(run.vectors, MapOptions(color="kinds", notes=run.notes)))
    assert "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-" in page
    assert "http" not in page.replace("http-equiv", "")
    assert "<i>Letters" not in page


def test_groups_that_lie_apart_are_apart_on_the_map(run: Run) -> None:
    points = np.array(note_map(run.vectors, MapOptions()).points)
    centres = [points[kind::3].mean(axis=0) for kind in range(3)]
    spread = max(float(points[kind::3].std(axis=0).max()) for kind in range(3))
    apart = [float(np.linalg.norm(centres[a] - centres[b])) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert min(apart) > 4 * spread


TWO_MAPS = """
import json, sys
from sparkclin.maps.note_map import MapOptions, note_map
for _ in range(2):
    found = note_map(sys.argv[1], MapOptions(method="umap", seed=3))
    print(json.dumps([found.how, found.points]))
"""


@pytest.mark.release
def test_umap_keeps_groups_apart_and_gives_the_same_map_again(run: Run) -> None:
    """In a process of its own: umap loads numba and TensorFlow, and a process with their LLVM cannot load torch's."""
    if find_spec("umap") is None:
        pytest.skip("the map extra is not installed")
    ran = run_python(TWO_MAPS, run.vectors)
    assert ran.returncode == 0, ran.stderr
    once, again = (json.loads(line) for line in ran.stdout.splitlines()[-2:])
    assert once == again
    how, found = once
    assert how == "UMAP, 15 neighbours, cosine, seed 3"
    points = np.array(found)
    centres = [points[kind::3].mean(axis=0) for kind in range(3)]
    assert min(float(np.linalg.norm(centres[a] - centres[b])) for a, b in ((0, 1), (0, 2), (1, 2))) > 0.3


def test_a_map_is_the_same_every_time(run: Run) -> None:
    options = MapOptions(color="kinds", notes=run.notes)
    assert map_html(note_map(run.vectors, options)) == map_html(note_map(run.vectors, options))


def test_of_many_notes_some_are_drawn_by_lot_from_a_seed(run: Run) -> None:
    one, same, other = (note_map(run.vectors, MapOptions(sample=20, seed=seed)) for seed in (1, 1, 2))
    assert (len(one.points), one.n_notes) == (20, N_NOTES)
    assert one.rows == same.rows
    assert one.rows != other.rows
    assert one.summary().startswith("- 20 of 60 notes by PCA")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (MapOptions(color="nothing"), "no column is named as one that was asked for; there are .*n_pieces"),
        (MapOptions(color="vector"), "holds vectors"),
    ],
)
def test_a_column_that_is_not_there_is_an_error(run: Run, options: MapOptions, message: str) -> None:
    with pytest.raises(InputError, match=message):
        note_map(run.vectors, options)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("notes.txt", "x", "its name ends in"),
        ("notes.jsonl", '{"note_id": "n1", "kinds": "secret', r"cannot be read \(JSONDecodeError\)"),
        ("notes.jsonl", '{"kinds": "secret"}', "there is no column note_id"),
        ("notes.csv", "note_id,kinds\nn1,secret\nn1,secret\n", "1 rows of the table have the note_id of another"),
        ("notes.parquet", "secret", "cannot be read"),
    ],
)
def test_a_table_that_cannot_be_read_is_an_error_without_its_text(
    run: Run, tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        note_map(run.vectors, MapOptions(color="kinds", notes=str(tmp_path / name)))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "line"),
    [
        (b"note_id,ward\nn1,secret,MORE\nn2,y\n", 2),  # pandas takes the first column for an index then
        (b"note_id,ward\nn1,x\nn2,secret,MORE\nn3\n", 3),
        (b'note_id,ward,bed\n"n1",\n', 2),
        (b'note_id,ward\n\nn1,"a\nb"\nn2,secret "x" y\n', 5),
        (b'note_id,ward\nn1,x\nn2,"secret\nn3,y\n', 3),
        (b"note_id,ward\nn1,secret\xe9\n", 2),
        (b"note_id,ward\nn1,x\nnote_id,ward\nn2,secret\n", 3),
    ],
)
def test_records_that_are_not_as_the_header_says_are_refused_by_their_line(
    run: Run, tmp_path: Path, table: bytes, line: int
) -> None:
    (tmp_path / "notes.csv").write_bytes(table)
    with pytest.raises(InputError, match=rf"the first begins in line {line}\. Mend them") as caught:
        note_map(run.vectors, MapOptions(color="ward", notes=str(tmp_path / "notes.csv")))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("table", [b"", b'"note_id,ward\nn1,x\n', b"\xff\xfen\x00"])
def test_a_csv_without_a_header_is_refused(run: Run, tmp_path: Path, table: bytes) -> None:
    (tmp_path / "notes.csv").write_bytes(table)
    with pytest.raises(InputError, match="has no first line that is a header in CSV"):
        note_map(run.vectors, MapOptions(color="ward", notes=str(tmp_path / "notes.csv")))


def test_a_csv_gives_fields_as_they_stand_and_columns_of_numbers_as_numbers(tmp_path: Path) -> None:
    table = '\ufeffward,note_id,beds,code\r\n"a ""b"", c\r\nd",007,12,x\r\n\r\n,8,,1e5\r\n"",NA,1.5,0042'
    (tmp_path / "notes.csv").write_bytes(table.encode())
    pq.write_table(pa.table({"note_id": ["8"]}), tmp_path / "v.parquet")
    names = ("ward", "beds", "code")
    read = read_columns(names, vectors=str(tmp_path / "v.parquet"), notes=str(tmp_path / "notes.csv"))
    ward, beds, code = (column.values for column in read)
    assert ward == {"007": 'a "b", c\r\nd', "8": None, "NA": ""}
    assert (beds["007"], beds["NA"], shown(beds["8"])) == (12, 1.5, "")
    assert code == {"007": "x", "8": "1e5", "NA": "0042"}


@pytest.mark.parametrize("options", [{"method": "tsne"}, {"sample": 2}, {"seed": -1}, {"seed": 2**32}])
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        MapOptions(**options)


def nested(depth: int, opening: str = "[", closing: str = "]") -> str:
    return opening * depth + "1" + closing * depth


@pytest.mark.parametrize("depth", [21, 400, 600, 990, 100_000])
def test_values_that_are_too_deep_to_be_shown_are_refused(run: Run, tmp_path: Path, depth: int) -> None:
    for value in (nested(depth), nested(depth, '{"secret":', "}"), nested(depth, '[{"secret":', "}]")):
        for line in ('{"note_id": "n1", "kinds": %s}', '{"kinds": "x", "note_id": %s}'):
            (tmp_path / "notes.jsonl").write_text(line % value)
            with pytest.raises(InputError, match=r"more than 20 deep|cannot be read \(RecursionError\)") as caught:
                note_map(run.vectors, MapOptions(color="kinds", notes=str(tmp_path / "notes.jsonl")))
            assert "secret" not in str(caught.value)


def test_values_that_are_less_deep_are_shown(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.jsonl").write_text(f'{{"note_id": "n1", "kinds": {nested(20)}}}')
    found = note_map(run.vectors, MapOptions(hover=("kinds",), notes=str(tmp_path / "notes.jsonl")))
    assert found.rows[1] == ("n1", "1")


@pytest.mark.parametrize("command", ["map", "nearest"])
@pytest.mark.parametrize(
    ("ids", "vectors", "said"),
    [
        (["a", "b", "c"], [[], [], []], "the vectors of 3 notes have no numbers"),
        ([[1], [2], [3]], [[1.0], [2.0], [3.0]], "has ids that are lists"),
        (["a", "b", "c"], [[1.0], [float("nan")], [3.0]], "of 1 of 3 notes have numbers that are NaN"),
    ],
)
def test_commands_say_in_a_line_which_vectors_cannot_be(
    command: str, ids: Any, vectors: Any, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pq.write_table(
        pa.table({"note_id": ids, "vector": pa.array(vectors, pa.list_(pa.float32()))}), tmp_path / "v.parquet"
    )
    more = ["--note", "a"] if command == "nearest" else ["--output", str(tmp_path / "map.html")]
    assert main([command, str(tmp_path / "v.parquet"), *more]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "map.html").exists()


def test_nothing_is_overwritten(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "map.html"
    output.touch()
    assert draw(run, output) == 1
    assert "exists already; nothing is overwritten. Choose another --output." in capsys.readouterr().err


def test_two_vectors_are_no_map(tmp_path: Path) -> None:
    pq.write_table(pa.table({"note_id": ["a", "b"], "vector": [[1.0, 0.0], [0.0, 1.0]]}), tmp_path / "v.parquet")
    with pytest.raises(InputError, match="2 notes have a vector: a map needs 3 or more"):
        note_map(str(tmp_path / "v.parquet"), MapOptions())


def classes(values: Sequence[Any]) -> tuple[str, ...]:
    return coloring(values).classes


def test_a_note_of_several_names_has_the_colour_of_the_rarest() -> None:
    assert classes([["a", "b"], ["a"], ["a", "z"], ["b"], None, []]) == ("c1", "c0", "c2", "c1", "none", "none")
    groups = {group.name: group.members for group in coloring([["a", "b"], ["a"], ["b"], None]).groups}
    assert groups == {"a": (0, 1), "b": (0, 2), "no value": (3,)}


def test_names_that_are_rare_share_a_colour() -> None:
    found = coloring([f"k{number}" for number in range(10) for _ in range(10 - number)])
    assert [group.name for group in found.groups] == [*(f"k{number}" for number in range(8)), "other"]
    assert len(found.groups[-1].members) == 3


def test_numbers_are_shades() -> None:
    found = coloring([*range(60), None])
    assert [group.name for group in found.groups][:2] == ["0 to 10", "10 to 20"]
    assert found.classes[0] == "s0"
    assert found.classes[59] == "s5"
    assert found.classes[60] == "none"
    assert sum(len(group.members) for group in found.groups) == 61
    assert classes([1, 2, 1]) == ("c0", "c1", "c0")


def test_nearest_notes_are_printed_with_their_columns(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["nearest", run.vectors, "--note", "n4", "-k", "3", "--notes", run.notes, "--show", "kinds", "n_pieces"]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["COSINE", "NOTE_ID", "KINDS", "N_PIECES"]
    assert lines[1].split() == ["n4", "All,", "Radiology", "4"]
    found = [line.split() for line in lines[2:5]]
    assert {row[3] for row in found} == {"Radiology"}
    assert [float(row[0]) for row in found] == sorted((float(row[0]) for row in found), reverse=True)
    assert lines[5:] == ["1 notes have no vector"]


def test_a_note_without_a_vector_has_no_nearest_ones(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nearest", run.vectors, "--note", "none"]) == 1
    assert "60 notes have a vector" in capsys.readouterr().err


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    return Browser(folder=tmp_path)


POINTS = """[...document.querySelectorAll('#map path')].map(point => {
  const box = point.getBoundingClientRect(), style = getComputedStyle(point);
  return [box.x + box.width / 2, box.y + box.height / 2, style.stroke]; })"""


@needs_chromium
def test_points_stand_where_the_map_says_in_the_colours_of_their_groups(run: Run, browser: Browser) -> None:
    found = note_map(run.vectors, MapOptions(color="kinds", notes=run.notes))
    drawn = browser.ask(map_html(found), POINTS)
    assert len({color for *_, color in drawn[:3]}) == 3
    assert {color for *_, color in drawn[::3]} == {drawn[0][2]}
    there, seen = np.array(found.points), np.array([point[:2] for point in drawn])
    scale = np.ptp(seen[:, 0]) / np.ptp(there[:, 0])
    assert scale > 300
    assert np.ptp(seen[:, 1]) / np.ptp(there[:, 1]) == pytest.approx(scale, rel=0.01)
    assert np.abs((seen - seen[0]) - (there - there[0]) * scale).max() < 1


HOVER = """(() => { const point = document.querySelectorAll('#map path')[7], box = point.getBoundingClientRect();
  const at = {clientX: box.x + box.width / 2, clientY: box.y + box.height / 2, bubbles: true};
  map.dispatchEvent(new PointerEvent('pointermove', at));
  const seen = document.querySelector('#note').innerText.split(/\\s*\\n\\s*/);
  document.querySelectorAll('button')[1].click();
  const out = document.querySelectorAll('#map .out').length;
  document.querySelectorAll('button')[1].click();
  const before = map.viewBox.baseVal.width;
  map.dispatchEvent(new WheelEvent('wheel', {...at, deltaY: -500, cancelable: true}));
  return {seen, out, back: document.querySelectorAll('#map .out').length,
          zoom: before / map.viewBox.baseVal.width}; })()"""


@needs_chromium
def test_pointing_shows_the_note_the_legend_its_group_and_the_wheel_zooms(run: Run, browser: Browser) -> None:
    found = note_map(run.vectors, MapOptions(color="kinds", hover=("ward",), notes=run.notes))
    seen = browser.ask(map_html(found), HOVER)
    assert seen["seen"] == ["note_id", "n7", "kinds", "All, Radiology", "ward", "W1"]
    assert (seen["out"], seen["back"]) == (40, 0)
    assert seen["zoom"] == pytest.approx(np.e, rel=0.01)


@needs_chromium
@pytest.mark.parametrize("width", [400, 1200])
def test_nothing_is_wider_than_the_window(run: Run, tmp_path: Path, width: int) -> None:
    page = map_html(note_map(run.vectors, MapOptions(color="kinds", notes=run.notes)))
    wide = Browser(folder=tmp_path, width=width).ask(page, "[document.documentElement.scrollWidth, innerWidth]")
    assert wide[1] == width
    assert wide[0] <= width


@needs_chromium
def test_light_and_dark_differ(run: Run, tmp_path: Path) -> None:
    page = map_html(note_map(run.vectors, MapOptions(color="kinds", notes=run.notes)))
    light, dark = (
        brightness(Browser(folder=tmp_path, dark=dark).screenshot(page, f"dark-{dark}")) for dark in (False, True)
    )
    assert light > 215
    assert dark < 60
