"""NerDL trained for real on a few sentences: it learns them, is saved, and finds its entities in another note."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.errors import IllegalArgumentException
from pyspark.sql import SparkSession

import sparkclin
from examples.ner_dl import GRAPH_WIDTHS, graph_width, load, main, tag, word_vectors
from sparkclin.errors import ModelError
from sparkclin.evaluation.ner import read_conll, score_rows
from testkit.demo import MODEL, NER_MODEL, SHORT

CORPUS = [
    "Patients|O with|O severe|O asthma|B-Disease took|O aspirin|B-Drug .|O",
    "🩺|O Type-2|B-Disease diabetes|I-Disease was|O treated|O with|O metformin|B-Drug .|O",
    "She|O denied|O chest|O pain|O .|O",
    "Severe|O asthma|B-Disease and|O type-2|B-Disease diabetes|I-Disease were|O noted|O .|O",
    "He|O took|O metformin|B-Drug and|O aspirin|B-Drug daily|O .|O",
    "The|O visit|O was|O short|O .|O",
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("corpus") / "train.tsv"
    sentences = ("\n".join(word.replace("|", "\t") for word in line.split()) for line in CORPUS)
    file.write_text("\n\n".join(sentences) + "\n", encoding="utf-8")
    return file


@pytest.mark.release
def test_it_learns_its_sentences_and_tags_notes_with_them(spark: SparkSession, corpus: Path, tmp_path: Path) -> None:
    ner, entities = tmp_path / "ner_dl", tmp_path / "entities"
    assert main(["train", str(corpus), "--output", str(ner), "--epochs", "50", "--lr", "5e-3", "--batch", "3"]) == 0

    notes = tmp_path / "notes.jsonl"
    records = [{"note_id": str(i), "text": s.text} for i, s in enumerate(read_conll(corpus))]
    notes.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    assert main(["tag", str(notes), "--ner", str(ner), "--output", str(entities)]) == 0
    rows = pd.read_parquet(entities)
    assert list(rows.columns) == ["note_id", "begin", "end", "text", "label"]
    assert score_rows(read_conll(corpus), rows).f1 > 0.9

    text = "🩺 No cough .\nPatients with severe asthma took aspirin . 🩺 She denied chest pain ."
    note = spark.createDataFrame([("n", text), ("none", "The visit was short .")], "note_id string, text string")
    found = [tuple(row) for row in tag(note, load(ner), model=MODEL).collect()]
    assert ("n", text.index("asthma"), text.index("asthma") + 6, "asthma", "Disease") in found
    assert ("n", text.index("aspirin"), text.index("aspirin") + 7, "aspirin", "Drug") in found
    assert ("none", None, None, None, None) in found
    vectors = word_vectors(note, model=MODEL)
    of_another = {**vectors.schema["word_embeddings"].metadata, "ref": "another"}
    with pytest.raises(IllegalArgumentException, match=MODEL):
        load(ner).transform(vectors.withMetadata("word_embeddings", of_another)).collect()
    with pytest.raises(ModelError, match=f"{NER_MODEL} is a model for the task 'entities'"):
        tag(note, load(ner), model=NER_MODEL)


def test_a_words_vector_is_the_one_of_embed_filled_up_with_zeros(spark: SparkSession) -> None:
    notes = spark.createDataFrame([("n", f"{SHORT} Second sentence, IL-2 too.")], "note_id string, text string")
    (row,) = word_vectors(notes, model=MODEL).collect()
    bundle = sparkclin.active_repository().find(MODEL)
    expected = sparkclin.embed(notes, model=bundle, level="token").collect()
    made = [(word.begin, word.end + 1, word.result) for word in row.word_embeddings]
    assert made == [(word.begin, word.end, word.token) for word in expected]
    assert [word.result for word in row.token] == [word.token for word in expected]
    vectors = np.array([word.embeddings for word in row.word_embeddings])
    np.testing.assert_allclose(vectors[:, :192], [word.vector for word in expected], atol=1e-4, rtol=0)
    assert vectors.shape[1] == 256
    assert not vectors[:, 192:].any()
    sentences = [(sentence.begin, sentence.end) for sentence in row.document]
    for word in row.word_embeddings:
        begin, end = sentences[int(word.metadata["sentence"])]
        assert begin <= word.begin <= word.end <= end


def test_a_vector_gets_the_next_wider_graph() -> None:
    assert [graph_width(width) for width in (192, 768, 769)] == [256, 768, 1024]
    with pytest.raises(ModelError, match="4096"):
        graph_width(GRAPH_WIDTHS[-1] + 1)


def test_what_is_not_there_or_in_the_way_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError, match=r"no saved NerDL model.*train CORPUS"):
        load(tmp_path)
    assert main(["tag", "notes.jsonl", "--ner", "ner_dl", "--output", str(tmp_path)]) == 1
    assert "is there already" in capsys.readouterr().err
