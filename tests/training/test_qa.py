"""Fine-tuning for questions, with models and corpora of a few bytes."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file
from transformers import AutoTokenizer

import sparkclin.evaluation.qa
from sparkclin.errors import OptionError
from sparkclin.evaluation.qa import Answer, Question
from testkit.checkpoints import random_bigbird, random_checkpoint
from training import predict_qa
from training.qa import (
    NO_ANSWER,
    QaOptions,
    QuestionRow,
    Span,
    best_spans,
    drawn,
    fine_tune,
    log_softmax,
    main,
    parse_options,
    rows_of,
)
from training.windowed import rows_of_transformers

pytestmark = pytest.mark.export

MAKERS = [
    partial(make, initializer_range=0.05) for make in (partial(random_checkpoint, attention_window=8), random_bigbird)
]
CONTEXT = "the patient was seen in the clinic. blood pressure 120/80, he's well. no acute distress was noted today"
ASKED = [("pressure", "120/80"), ("distress", "no acute distress"), ("blood", "blood pressure 120/80")]


@pytest.fixture(scope="module", params=MAKERS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(request.param(tmp_path_factory.mktemp("checkpoint")))


def write(file: Path, contexts: list[str], *, impossible: bool = False) -> Path:
    """Every question of ASKED on every context; with `impossible` one more on each, without an answer."""
    paragraphs = []
    for number, context in enumerate(contexts):
        qas: list[dict[str, Any]] = [
            {"id": f"{number}-{q}", "question": q, "answers": [{"text": a, "answer_start": context.index(a)}]}
            for q, a in ASKED
        ]
        qas += [{"id": f"{number}-no", "question": "was seen today", "answers": [], "is_impossible": True}] * impossible
        paragraphs.append({"context": context, "qas": qas})
    file.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}), encoding="utf-8")
    return file


def options(folder: Path, checkpoint: Path, *, impossible: bool = False, **changes: Any) -> QaOptions:
    folder.mkdir(exist_ok=True)
    train = write(folder / "train.json", [CONTEXT, f"well. {CONTEXT}"] * 3, impossible=impossible)
    # The ids of a file must be unique, but two files may have the same contexts.
    dev = write(folder / "dev.json", [CONTEXT], impossible=impossible)
    given = {"train": (train,), "dev": (dev,), "init": str(checkpoint), "lr": 2e-3, "epochs": 3, "patience": 3}
    return QaOptions(**{**given, "output": folder / "out", "work": folder / "work", **changes})


def question(answer: str) -> Question:
    return Question("1", CONTEXT, "pressure", (Answer(answer, CONTEXT.index(answer)),))


@pytest.mark.parametrize("answer", ["120/80", "the", "today", "blood pressure 120/80", "linic. b", CONTEXT])
def test_rows_point_to_the_answer_or_to_the_first_special_piece(checkpoint: Path, answer: str) -> None:
    asked = question(answer)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    with_answer = 0
    for max_pieces in (20, 190):
        for row in rows_of([asked], tokenizer, max_pieces=max_pieces):
            first, last = row.positions_of(asked.answers[0])
            is_whole = row.begins[0] <= asked.answers[0].begin and asked.answers[0].end <= row.ends[-1]
            assert (first, last) != (NO_ANSWER, NO_ANSWER) if is_whole else (first, last) == (NO_ANSWER, NO_ANSWER)
            if is_whole:
                with_answer += 1
                begin, end = row.begins[first - row.first], row.ends[last - row.first]
                assert begin <= asked.answers[0].begin < asked.answers[0].end <= end
                assert row.ends[first - row.first] > asked.answers[0].begin
                assert row.begins[last - row.first] < asked.answers[0].end
            assert row.to_learn([])["end_positions"] == NO_ANSWER
    assert with_answer


def test_rows_are_those_of_transformers(checkpoint: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    ours = list(rows_of([question("the")], tokenizer, max_pieces=20))
    theirs = rows_of_transformers(tokenizer, CONTEXT, "pressure", other_first=True, max_pieces=20)
    assert [row.features["input_ids"] for row in ours] == [row.ids for row in theirs]
    for our_row, their_row in zip(ours, theirs, strict=True):
        own = [position for position, sequence in enumerate(their_row.sequence_ids) if sequence == 1]
        assert our_row.first == own[0]
        ranges = [predict_qa.without_white_space(CONTEXT, *their_row.offsets[position]) for position in own]
        assert list(zip(our_row.begins.tolist(), our_row.ends.tolist(), strict=True)) == ranges
    assert len(ours) > 1


def test_of_the_windows_without_the_answer_some_may_be_drawn(checkpoint: Path) -> None:
    questions = [question("120/80"), question("today")]
    rows = list(rows_of(questions, AutoTokenizer.from_pretrained(checkpoint), max_pieces=12))
    features = [row.to_learn(questions[row.question].answers) for row in rows]
    with_answer = [row for row in features if row["end_positions"] != NO_ANSWER]
    assert drawn(rows, features, most_empty=None, seed=0) == features
    kept = drawn(rows, features, most_empty=1, seed=0)
    assert len(kept) == len(with_answer) + len(questions) < len(features)
    assert [row for row in kept if row in with_answer] == with_answer
    assert drawn(rows, features, most_empty=1, seed=0) == kept
    with pytest.raises(OptionError, match="empty_windows is 0, it must be at least 1"):
        QaOptions(train=(), dev=(), init="", output=Path(), work=Path(), empty_windows=0)


def spans(*, longest: int, top_k: int = 1, no_answer: bool = False, seed: int = 0) -> list[Span]:
    """Of one question with two windows, over pieces 0…4 and 3…7 of one letter each, behind 2 other positions."""
    random = np.random.default_rng(seed)
    pieces = np.arange(8, dtype=np.int32)
    rows = [QuestionRow(0, {}, 2, pieces[own], pieces[own] + 1) for own in (slice(0, 5), slice(3, 8))]
    logits = [tuple(random.normal(size=9).astype(np.float32) for _ in range(2)) for _ in rows]
    (found,) = best_spans(rows, logits, longest=longest, top_k=top_k, no_answer=no_answer)  # type: ignore[arg-type]
    everything: dict[tuple[int, int] | None, float] = {}
    for row, (begins, ends) in zip(rows, logits, strict=True):
        p_begins, p_ends = (np.exp(log_softmax(np.concatenate([x[:1], x[2:7]]))) for x in (begins, ends))
        none = float(p_begins[0] * p_ends[0])
        everything[None] = min(none, everything.get(None, 1.0))
        for begin in range(5):
            for end in range(begin, min(begin + longest, 5)):
                where = int(row.begins[begin]), int(row.ends[end])
                likely = float(p_begins[begin + 1] * p_ends[end + 1])
                everything[where] = max(likely, everything.get(where, 0.0))
    if not no_answer:
        del everything[None]
    best = sorted(everything.items(), key=lambda item: -item[1])[:top_k]
    assert [span.range for span in found] == [where for where, _ in best]
    assert [span.score for span in found] == pytest.approx([value for _, value in best])
    return found


@pytest.mark.parametrize("longest", [1, 2, 5, 99])
@pytest.mark.parametrize("no_answer", [False, True])
def test_the_best_spans_are_found(longest: int, *, no_answer: bool) -> None:
    for seed in range(5):
        assert all(
            span.range is None or span.range[1] - span.range[0] <= longest
            for span in spans(longest=longest, top_k=6, no_answer=no_answer, seed=seed)
        )
    assert len(spans(longest=longest)) == 1


@pytest.mark.parametrize("impossible", [False, True])
def test_a_model_learns_answers_and_transformers_predictions_are_scored(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], *, impossible: bool
) -> None:
    record = fine_tune(options(tmp_path, checkpoint, impossible=impossible, lr=3e-3, epochs=12, patience=12))
    assert record.dev_score.f1 > 0.9
    assert record.no_answer is impossible
    assert (record.rows_with_answer, record.run.rows) == (18, 24 if impossible else 18)
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["architectures"][0].endswith("ForQuestionAnswering")
    dev, notes, found = tmp_path / "dev.json", tmp_path / "notes.jsonl", tmp_path / "found.parquet"
    assert sparkclin.evaluation.qa.main(["notes", str(dev), "--output", str(notes)]) == 0
    more = ["--no-answer"] * impossible
    assert predict_qa.main([str(notes), str(tmp_path / "out"), "--output", str(found), *more]) == 0
    assert list(pd.read_parquet(found).columns) == predict_qa.COLUMNS
    capsys.readouterr()
    assert sparkclin.evaluation.qa.main(["score", str(found), str(dev)]) == 0
    # Not the same spans: transformers takes whole words, and joins those of the same text.
    assert json.loads(capsys.readouterr().out)["f1"] > 0.4


def test_predictions_are_ranked_spans_of_the_text(checkpoint: Path, tmp_path: Path) -> None:
    fine_tune(options(tmp_path, checkpoint, epochs=1))
    asked = {"question": "pressure"}
    notes = [{"note_id": "1", "text": CONTEXT, **asked}, {"note_id": "e", "text": " ", **asked}]
    asking = predict_qa.PredictOptions(max_pieces=50, max_answer_pieces=9, top_k=3)
    found = predict_qa.predicted([*notes, {"note_id": "n", "text": None, **asked}], str(tmp_path / "out"), asking)
    assert found["rank"].tolist() == [0, 1, 2, 0, 0]
    assert found["status"].tolist() == ["ok"] * 3 + ["empty", "null"]
    assert found["score"][:3].is_monotonic_decreasing
    for begin, end, text in found[["begin", "end", "text"]][:3].itertuples(index=False):
        assert CONTEXT[begin:end] == text


def test_a_seed_gives_the_same_weights(checkpoint: Path, tmp_path: Path) -> None:
    weights = []
    for name in ("a", "b"):
        fine_tune(options(tmp_path / name, checkpoint, epochs=1, max_pieces=50))
        weights.append(load_file(tmp_path / name / "out" / "model.safetensors"))
    for name, array in weights[0].items():
        np.testing.assert_array_equal(array, weights[1][name])


def test_a_question_that_fills_the_window_is_refused(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    squad = str(write(tmp_path / "train.json", [CONTEXT]))
    run = ["--train", squad, "--dev", squad, "--init", str(checkpoint), "--output", "o", "--work", "w"]
    assert main([*run, "--max-pieces", "2"]) == 1
    assert (
        "of 3 rows have a question that leaves a note no more than 0 pieces in a window of 2" in capsys.readouterr().err
    )


def test_the_defaults_are_the_authors() -> None:
    asked = parse_options(["--train", "a", "--dev", "c", "--init", "d", "--output", "e", "--work", "f"])
    assert (asked.lr, asked.epochs, asked.batch, asked.max_pieces, asked.max_answer_pieces) == (3e-5, 4, 4, None, 128)
