from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sklearn", reason="the train extra is not installed")

from sklearn.metrics import accuracy_score, f1_score

from sparkclin.errors import InputError
from sparkclin.evaluation.classify import (
    ClassScore,
    Columns,
    Example,
    main,
    read_examples,
    read_labels,
    score,
    score_rows,
)

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
        ([{"text": "secret", "label": True}], Columns(), "1 rows have another label"),
        ([{"text": "secret", "label": 1.5}], MULTI, "1 rows have another label"),
        (
            [{"text": "secret", "label": "x"}, {"text": "secret", "label": 1.5}, {"text": "secret", "label": None}],
            Columns(),
            r"2 rows have another label .*row 1\)",
        ),
        (
            [{"text": "", "pair": "", "label": "x"}],
            Columns(pair="pair"),
            r"1 rows are without text .*; 1 rows are without pair",
        ),
        ([{"note_id": 1, "text": "secret", "label": "x"}] * 3, Columns(), "2 rows whose note_id another row has"),
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
    (tmp_path / "corpus.jsonl").write_text('{"text": "x", "label": "y"}\n\n["text", "label"]\n')
    with pytest.raises(InputError, match="line 3 is not a JSON object"):
        read_examples(tmp_path / "corpus.jsonl", Columns())


@pytest.mark.parametrize(
    ("label", "columns", "expected"),
    [
        (" lung ", Columns(), ("lung",)),
        (3, Columns(), ("3",)),
        ("lung; skin", Columns(), ("lung; skin",)),
        ("lung; skin;", MULTI, ("lung", "skin")),
        (["lung", " ", "skin", " lung"], MULTI, ("lung", "skin")),
        (3, MULTI, ("3",)),
    ],
)
def test_labels_are_trimmed_and_each_is_there_once(
    tmp_path: Path, label: object, columns: Columns, expected: tuple[str, ...]
) -> None:
    corpus = write_jsonl(tmp_path / "corpus.jsonl", [{"note_id": 7, "label": label}])
    assert read_labels(corpus, columns) == {"7": expected}


def test_empty_lines_of_jsonl_are_no_rows(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text('{"label": "x"}\n \n{"label": "y"}\n', encoding="utf-8")
    assert read_labels(tmp_path / "corpus.jsonl", Columns()) == {"0": ("x",), "1": ("y",)}


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


def test_a_label_that_was_only_predicted_lowers_macro_f1() -> None:
    """As with scikit-learn: its F1 is 0, and it is one of the labels that the mean is of."""
    scored = score([["a"], ["a"]], [["a"], ["b"]])
    assert (scored.notes, scored.accuracy, scored.support) == (2, 0.5, {"a": 2, "b": 0})
    assert (scored.micro_f1, scored.macro_f1) == pytest.approx((0.5, (2 / 3 + 0) / 2))
    assert scored.f1_by_label == pytest.approx({"a": 2 / 3, "b": 0.0})


def test_a_corpus_may_have_one_label_alone() -> None:
    """Of four notes two have it; it was found for one of these and for another note."""
    scored = score([["a"], ["a"], [], []], [["a"], [], ["a"], []])
    assert (scored.accuracy, scored.micro_f1, scored.macro_f1) == (0.5, 0.5, 0.5)
    assert (scored.f1_by_label, scored.support) == ({"a": 0.5}, {"a": 2})


def test_labels_are_scored_by_name_wherever_they_stand() -> None:
    scored = score([["b", "a"], ["c"]], [["a", "b"], ["a"]])
    assert scored.accuracy == 0.5
    assert scored.support == {"a": 1, "b": 1, "c": 1}
    assert scored.f1_by_label == {"a": pytest.approx(2 / 3), "b": 1.0, "c": 0.0}


def test_notes_without_any_label_are_all_right_and_have_no_f1() -> None:
    expected = ClassScore(notes=2, accuracy=1.0, micro_f1=0.0, macro_f1=0.0, f1_by_label={}, support={})
    assert score([[], []], [[], []]) == expected


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


def test_a_label_without_a_prediction_is_not_found() -> None:
    """A row that says neither true nor false, and an id that is a number."""
    rows = pd.DataFrame({"note_id": [1, 1, 2], "label": ["a", "b", "b"], "predicted": [None, True, False]})
    scored = score_rows({"1": ("a", "b"), "2": ()}, rows.astype({"predicted": "boolean"}))
    assert (scored.accuracy, scored.f1_by_label) == (0.5, {"a": 0.0, "b": 1.0})


def test_only_rows_that_repeat_note_and_label_are_doubled() -> None:
    labels: dict[str, tuple[str, ...]] = {"1": ("a",), "2": ()}
    assert score_rows(labels, predictions(("1", "a", True), ("1", "b", False), ("2", "a", False))).accuracy == 1.0
    with pytest.raises(InputError, match=r"^1 rows have the note and the label of another row\. Are they"):
        score_rows(labels, predictions(("1", "a", True), ("1", "a", False), ("2", "a", False)))


def test_the_commands_columns_can_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus, notes, found = (tmp_path / name for name in ("corpus.csv", "notes.jsonl", "labels.parquet"))
    corpus.write_text("nr,report,kind\nx,cough,lung|skin\ny,rash,\n", encoding="utf-8")
    named = ["--label-column", "kind", "--id-column", "nr", "--multi-label", "--label-separator", "|"]
    assert main(["notes", str(corpus), "-o", str(notes), "--text-column", "report", *named]) == 0
    assert [json.loads(line) for line in notes.read_text(encoding="utf-8").splitlines()] == [
        {"note_id": "x", "text": "cough"},
        {"note_id": "y", "text": "rash"},
    ]
    predictions(("x", "lung", True), ("x", "skin", True), ("y", "lung", False)).to_parquet(found)
    assert main(["score", str(found), str(corpus), *named]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == 1.0


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
