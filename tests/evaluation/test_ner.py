from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from sparkclin.errors import InputError
from sparkclin.evaluation.ner import Entity, Sentence, main, read_conll, score, score_rows

CORPUS = "took\tO\naspirin\tB-Drug\nfor\tO\nchest\tB-Sign\npain\tI-Sign\n\n🩺\tO\nfever\tB-Sign\n"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    file = tmp_path / "corpus.tsv"
    file.write_text(CORPUS, encoding="utf-8")
    return file


def test_sentences_are_read_with_offsets(corpus: Path) -> None:
    first, second = read_conll(corpus)
    assert (first.text, second.text) == ("took aspirin for chest pain", "🩺 fever")
    assert [first.text[begin:end] for begin, end in first.ranges] == list(first.words)
    assert second.ranges == ((0, 1), (2, 7))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("took O\n", "line 1 has 1 columns, expected two"),
        ("a\tO\nb\tI-Drug\n", "line 2 has the label 'I-Drug' behind 'O'"),
        ("a\tB-Sign\nb\tI-Drug\n", "line 2 has the label 'I-Drug' behind 'B-Sign'"),
        ("a\tB-Sign\n\nb\tI-Sign\n", "line 3 has the label 'I-Sign' behind 'O'"),
        ("a\tDrug\n", "line 1 has the label 'Drug', expected O, B-KIND or I-KIND"),
        ("a\tB-\n", "line 1 has the label 'B-'"),
        ("\n\n", "has no sentence"),
        ("a\tO\tx", "line 1 has 3 columns"),
        ("a b\tO", "line 1 has 2 columns, expected two with a tab between them"),
        (" \tO", "line 1 has 2 columns"),
        ("a\tE-Drug", "line 1 has the label 'E-Drug'"),
        ("a\tO-Drug", "line 1 has the label 'O-Drug'"),
    ],
)
def test_broken_labels_are_refused_by_line(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "corpus.tsv"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_conll(file)


def test_spans_become_labels_of_the_words_they_touch() -> None:
    sentence = Sentence.of(("took", "aspirin", "for", "chest", "pain"), ("O",) * 5)
    entities = [Entity(17, 24, "Sign"), Entity(7, 9, "Drug"), Entity(23, 27, "Other")]
    assert sentence.labels_of(entities) == ["O", "B-Drug", "O", "B-Sign", "I-Sign"]
    assert sentence.labels_of([Entity(12, 13, "Gap")]) == ["O"] * 5


def test_an_entity_counts_whole() -> None:
    labels = [["B-Drug", "I-Drug", "O", "B-Sign"]]
    found = score(labels, [["B-Drug", "O", "O", "B-Sign"]])
    assert (found.precision, found.recall, found.f1, found.support) == (0.5, 0.5, 0.5, 2)
    assert found.f1_by_kind == {"Drug": 0.0, "Sign": 1.0}


def rows(*entities: tuple[str, int | None, int | None, str | None]) -> pd.DataFrame:
    return pd.DataFrame(entities, columns=["note_id", "begin", "end", "label"])


def test_rows_of_a_run_are_scored(corpus: Path) -> None:
    sentences = read_conll(corpus)
    right = rows(("0", 5, 12, "Drug"), ("0", 17, 27, "Sign"), ("1", 2, 7, "Sign"))
    assert score_rows(sentences, right).f1 == 1.0
    assert score_rows(sentences, rows(("0", 5, 12, "Sign"), ("1", None, None, None))).recall == 0.0


def test_a_sentence_without_a_row_is_noticed(corpus: Path) -> None:
    with pytest.raises(InputError, match="1 of 2 sentences are not in the output"):
        score_rows(read_conll(corpus), rows(("0", 5, 12, "Drug")))


@pytest.mark.parametrize(
    ("options", "text", "entity"),
    [([], "No chest-pain.", (3, 13)), (["--spelling", "tokenized"], "No chest - pain .", (3, 15))],
)
def test_notes_and_scores_have_the_same_spelling(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], text: str, entity: tuple[int, int]
) -> None:
    corpus, notes, entities = (tmp_path / name for name in ("corpus.tsv", "notes.jsonl", "entities.parquet"))
    corpus.write_text("No\tO\nchest\tB-Sign\n-\tI-Sign\npain\tI-Sign\n.\tO\n", encoding="utf-8")
    assert main(["notes", str(corpus), "--output", str(notes), *options]) == 0
    assert json.loads(notes.read_text(encoding="utf-8")) == {"note_id": "0", "text": text}
    for (begin, end), f1 in ((entity, 1.0), ((entity[0], entity[1] + 2), 0.0)):
        rows(("0", begin, end, "Sign")).to_parquet(entities)
        assert main(["score", str(corpus), str(entities), *options]) == 0
        assert json.loads(capsys.readouterr().out)["f1"] == f1


def test_the_command_makes_notes_and_scores_entities(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notes, entities = tmp_path / "notes.jsonl", tmp_path / "entities.parquet"
    assert main(["notes", str(corpus), "--output", str(notes)]) == 0
    assert [json.loads(line) for line in notes.read_text(encoding="utf-8").splitlines()] == [
        {"note_id": "0", "text": "took aspirin for chest pain"},
        {"note_id": "1", "text": "🩺 fever"},
    ]
    rows(("0", 5, 12, "Drug"), ("1", 2, 7, "Sign")).to_parquet(entities)
    assert main(["score", str(corpus), str(entities)]) == 0
    assert json.loads(capsys.readouterr().out)["f1"] == pytest.approx(0.8)
    (tmp_path / "corpus.tsv").write_text("a\tX\n")
    assert main(["notes", str(corpus), "--output", str(notes)]) == 1
    assert capsys.readouterr().err.startswith("error: corpus.tsv, line 1")


def test_a_last_sentence_without_an_empty_line_is_read_and_empty_lines_make_none(tmp_path: Path) -> None:
    file = tmp_path / "corpus.tsv"
    file.write_text("\n\na\tB-Drug\nb\tI-Drug \nc\tI-Drug\n\n\n\nd\tO", encoding="utf-8")
    found = [(sentence.words, sentence.labels) for sentence in read_conll(file)]
    assert found == [(("a", "b", "c"), ("B-Drug", "I-Drug", "I-Drug")), (("d",), ("O",))]


@pytest.mark.parametrize(
    ("begin", "end", "labels"),
    [
        (0, 4, ["B-X", "O", "O"]),
        (4, 5, ["O", "O", "O"]),  # the space between two words
        (3, 5, ["B-X", "O", "O"]),
        (3, 6, ["B-X", "I-X", "O"]),
        (5, 13, ["O", "B-X", "I-X"]),
        (12, 13, ["O", "O", "B-X"]),
        (13, 20, ["O", "O", "O"]),
    ],
)
def test_a_word_is_touched_by_a_span_with_one_of_its_characters(begin: int, end: int, labels: list[str]) -> None:
    """`took aspirin.`: the words are at 0 to 4, 5 to 12 and 12 to 13."""
    sentence = Sentence.of(("took", "aspirin", "."), ("O",) * 3)
    assert sentence.ranges == ((0, 4), (5, 12), (12, 13))
    assert sentence.labels_of([Entity(begin, end, "X")]) == labels


def test_scores_are_those_of_entities_by_kind_and_overall() -> None:
    """Three entities in the corpus; two were found, one of them right."""
    labels = [["B-Drug", "O", "B-Sign", "I-Sign"], ["B-Drug"]]
    found = score(labels, [["B-Drug", "O", "B-Sign", "O"], ["O"]])
    assert (found.precision, found.recall) == pytest.approx((0.5, 1 / 3))
    assert found.support == 3
    assert found.f1 == pytest.approx(2 * 1 / (2 + 3))
    assert found.f1_by_kind == {"Drug": pytest.approx(2 / 3), "Sign": 0.0}


def test_a_kind_that_was_only_found_has_a_score() -> None:
    found = score([["B-Drug", "O"]], [["B-Drug", "B-Sign"]])
    assert set(found.f1_by_kind) == {"Drug", "Sign"}
    assert (found.precision, found.recall) == (0.5, 1.0)
