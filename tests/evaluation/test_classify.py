from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sklearn", reason="the train extra is not installed")

from sklearn.metrics import accuracy_score, f1_score

from sparkclin.errors import InputError
from sparkclin.evaluation.classify import Columns, Example, main, read_examples, read_labels, score, score_rows

MULTI = Columns(multi_label=True)
ROWS: list[dict[str, object]] = [
    {"note_id": "a", "text": "cough", "pair": "fever?", "label": ["lung", "skin"]},
    {"note_id": "b", "text": "rash", "pair": "fever?", "label": []},
]


def write_jsonl(file: Path, rows: list[dict[str, object]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_jsonl_csv_and_parquet_say_the_same(tmp_path: Path) -> None:
    expected = [Example("a", "cough", "fever?", ("lung", "skin")), Example("b", "rash", "fever?", ())]
    columns = Columns(pair="pair", multi_label=True, separator="|")
    csv = tmp_path / "corpus.csv"
    csv.write_text("note_id,text,pair,label\na,cough,fever?,lung| skin\nb,rash,fever?,\n", encoding="utf-8")
    assert read_examples(write_jsonl(tmp_path / "corpus.jsonl", ROWS), columns) == expected
    assert read_examples(csv, columns) == expected
    parquet = tmp_path / "corpus.parquet"
    pd.read_csv(csv, keep_default_na=False).to_parquet(parquet)
    assert read_examples(parquet, columns) == expected


def test_ids_are_row_numbers_where_there_are_none(tmp_path: Path) -> None:
    file = tmp_path / "corpus.csv"
    file.write_text("report,kind\nNA,1\nrash,0\n", encoding="utf-8")
    columns = Columns(text="report", label="kind")
    assert read_examples(file, columns) == [Example("0", "NA", None, ("1",)), Example("1", "rash", None, ("0",))]
    assert read_labels(file, columns) == {"0": ("1",), "1": ("0",)}


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        ([{"text": "secret"}], Columns(), "no column label in row 0; its columns are text. Name yours with"),
        ([{"text": "secret", "label": "x"}], Columns(pair="p"), "no column p in row 0"),
        (
            [{"text": "secret", "label": ["x"]}],
            Columns(),
            r"1 rows have another label .*row 0\). Expected one string, and",
        ),
        ([{"text": "secret", "label": ""}], Columns(), "1 rows have another label"),
        ([{"text": "secret", "label": [1]}], MULTI, "Expected strings or a list of them"),
        (
            [{"text": "secret", "label": "x"}, {"text": " ", "label": "x"}],
            Columns(),
            r"1 rows are without text .*row 1\)",
        ),
        ([{"text": None, "label": "x"}], Columns(), r"1 rows are without text"),
        ([{"note_id": 1, "text": "secret", "label": "x"}] * 2, Columns(), "1 rows whose note_id another row has"),
        ([], Columns(), "has no row"),
    ],
)
def test_broken_corpora_are_refused(
    tmp_path: Path, rows: list[dict[str, object]], columns: Columns, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_examples(write_jsonl(tmp_path / "corpus.jsonl", rows), columns)
    assert "secret" not in str(caught.value)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"corpus.txt is not a kind of file .*\.csv, \.jsonl, \.parquet"):
        read_examples(tmp_path / "corpus.txt", Columns())
    (tmp_path / "corpus.jsonl").write_text('{"text": "x"\n')
    with pytest.raises(InputError, match="line 1 cannot be read as JSON"):
        read_examples(tmp_path / "corpus.jsonl", Columns())


def test_scores_of_one_label_are_scikit_learns() -> None:
    random = np.random.default_rng(0)
    given, found = (random.choice(["a", "b", "c", "d"], size=50).tolist() for _ in range(2))
    scored = score([[label] for label in given], [[label] for label in found])
    assert scored.accuracy == pytest.approx(accuracy_score(given, found))
    assert scored.micro_f1 == pytest.approx(f1_score(given, found, average="micro"))
    assert scored.macro_f1 == pytest.approx(f1_score(given, found, average="macro"))
    assert scored.support == {label: given.count(label) for label in "abcd"}


def test_scores_of_several_labels() -> None:
    scored = score([["a", "b"], ["b"], [], ["a"]], [["a"], ["b"], [], ["b"]])
    assert scored.accuracy == 0.5
    assert scored.micro_f1 == pytest.approx(2 * 2 / (4 + 3))
    assert scored.f1_by_label == {"a": pytest.approx(2 / 3), "b": 0.5}
    assert scored.macro_f1 == pytest.approx((2 / 3 + 0.5) / 2)
    assert score([[]], [[]]).accuracy == 1.0


def predictions(*rows: tuple[str, str | None, bool | None]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["note_id", "label", "predicted"]).astype({"predicted": "boolean"})


def test_rows_of_a_run_are_scored() -> None:
    labels = {"1": ("a",), "2": ("b",), "3": ("a",)}
    rows = predictions(("1", "a", True), ("1", "b", False), ("2", "a", True), ("2", "b", False), ("3", None, None))
    scored = score_rows(labels, rows)
    assert scored.accuracy == pytest.approx(1 / 3)
    assert scored.f1_by_label == {"a": 0.5, "b": 0.0}
    with pytest.raises(InputError, match="1 of 3 notes are not in the predictions; 1 rows have the note and the label"):
        score_rows(labels, predictions(("1", "a", True), ("1", "a", True), ("2", "a", True)))


def test_the_command_makes_notes_and_scores_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus, notes, found = (tmp_path / name for name in ("corpus.jsonl", "notes.jsonl", "labels.parquet"))
    write_jsonl(corpus, ROWS)
    assert main(["notes", str(corpus), "--output", str(notes), "--pair-column", "pair", "--multi-label"]) == 0
    assert [json.loads(line) for line in notes.read_text(encoding="utf-8").splitlines()] == [
        {"note_id": "a", "text": "cough", "pair": "fever?"},
        {"note_id": "b", "text": "rash", "pair": "fever?"},
    ]
    predictions(("a", "lung", True), ("a", "skin", False), ("b", "lung", False)).to_parquet(found)
    assert main(["score", str(found), str(corpus), "--multi-label"]) == 0
    assert json.loads(capsys.readouterr().out)["micro_f1"] == pytest.approx(2 / 3)
    assert main(["score", str(found), str(corpus)]) == 1
    assert "and --multi-label for more" in capsys.readouterr().err
