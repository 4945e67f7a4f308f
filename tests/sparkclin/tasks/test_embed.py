"""embed() at every level, with a model whose vectors are (id + V, length of its row)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.errors import PythonException
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, Observation, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from sparkclin.errors import InputError, OptionError, SetupError
from sparkclin.hashing import sha256_of_file
from sparkclin.models.bundle import Bundle
from sparkclin.models.pretrained import load, use_models
from sparkclin.models.repository import ModelRepository
from sparkclin.runs.report import NoteCounts, count_columns
from sparkclin.schema import LEVELS
from sparkclin.stages.note_tokenizer import NoteTokenizer
from sparkclin.stages.vector_pooler import VectorPooler
from sparkclin.tasks.embed import EmbedOptions, embed, output_schema
from sparkclin.text.pieces import NO_WORD, Floats, PieceEncoder, Pieces
from sparkclin.text.sentences import NUPUNKT, SPARK_NLP, split_sentences
from sparkclin.text.windows import Window, cut, own
from testkit.echo import SAMPLE_TEXTS, build_echo_bundle
from testkit.tokenizers import train_tokenizer

NOTES: dict[str, str | None] = {
    "long": "Fever and cough 😀. He denies chest pain; no dyspnoea.\r\n" * 8,
    "emoji": "😀👩🏽‍⚕️ e\u0301 \u00a0 120/80.\n\nNext: </s> mg",
    "short": "x",
    "empty": "",
    "white": " \n\t ",
    "null": None,
}
MAX_PIECES, STRIDE = 60, 25


def windows_of(n_pieces: int) -> tuple[Window, ...]:
    return own(cut(n_pieces, MAX_PIECES, STRIDE))


@pytest.fixture(scope="module")
def echo(echo_models: Path) -> Bundle:
    return ModelRepository(echo_models).find("clinical_longformer")


@pytest.fixture(scope="module")
def notes(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(list(NOTES.items()), "note_id string, text string")


def options(level: str, *, pooling: str = "mean", context: str = "note") -> EmbedOptions:
    return EmbedOptions(level=level, pooling=pooling, context=context, max_pieces=MAX_PIECES, stride=STRIDE)


def collected(frame: DataFrame) -> dict[str, list[Row]]:
    order = [name for name in ("window", "sentence", "token_index") if name in frame.columns]
    found: dict[str, list[Row]] = {name: [] for name in NOTES}
    for row in frame.orderBy("note_id", *order).collect():
        found[row.note_id].append(row)
    return found


def pieces_of(bundle: Bundle, text: str) -> Pieces:
    [pieces] = PieceEncoder(bundle.tokenizer_json()).encode([text])
    return pieces


def piece_vectors(bundle: Bundle, pieces: Pieces) -> Floats:
    """What the echo model says of each piece, in the window that owns it."""
    vectors = np.zeros((len(pieces), 2), np.float32)
    for window in windows_of(len(pieces)):
        vectors[window.own_begin : window.own_end, 1] = window.end - window.begin + 2
    vectors[:, 0] = pieces.ids + bundle.manifest.vocab_size
    return vectors


def mean_of(vectors: Floats) -> Any:
    """Equal to what is 1e-6 of it away: inside the graph a mean is summed in float32."""
    return pytest.approx(vectors.mean(axis=0, dtype=np.float64).tolist(), rel=1e-6)


def assert_no_vector(rows: dict[str, list[Row]], nulls: Sequence[str]) -> None:
    for name, status in (("empty", "empty"), ("white", "empty"), ("null", "null")):
        [row] = rows[name]
        assert row.status == status
        assert [row[column] for column in nulls] == [None] * len(nulls)


@pytest.mark.parametrize("level", LEVELS)
def test_the_output_schema_is_the_constant(notes: DataFrame, echo: Bundle, level: str) -> None:
    with_number = notes.select(F.lit(7).cast("bigint").alias("note_id"), "text", F.lit(1).alias("status"))
    found = embed(with_number, bundle=echo, options=options(level)).schema
    expected = output_schema(level, T.LongType())
    assert [(f.name, f.dataType) for f in found] == [(f.name, f.dataType) for f in expected]


def test_documents(notes: DataFrame, echo: Bundle) -> None:
    rows = collected(embed(notes, bundle=echo, options=options("document")))
    for name in ("long", "emoji", "short"):
        pieces = pieces_of(echo, NOTES[name] or "")
        [row] = rows[name]
        assert row.vector == mean_of(piece_vectors(echo, pieces))
        assert (row.n_pieces, row.n_windows) == (len(pieces), len(windows_of(len(pieces))))
        assert (row.status, row.model, row.pooling) == ("ok", "clinical_longformer", "mean")
        assert (row.engine, row.precision) == ("tensorflow", "fp32")
        assert row.model_digest == sha256_of_file(echo.path / "sparkclin.json")[:16]
    assert rows["long"][0].n_windows > 3
    assert_no_vector(rows, ["vector"])


def test_windows(notes: DataFrame, echo: Bundle) -> None:
    rows = collected(embed(notes, bundle=echo, options=options("window", pooling="max")))
    for name in ("long", "emoji", "short"):
        pieces = pieces_of(echo, NOTES[name] or "")
        windows = windows_of(len(pieces))
        assert [row.window for row in rows[name]] == list(range(len(windows)))
        assert [(row.begin, row.end) for row in rows[name]] == [
            (pieces.begins[w.begin], pieces.ends[w.end - 1]) for w in windows
        ]
        highest = [float(pieces.ids[w.begin : w.end].max() + echo.manifest.vocab_size) for w in windows]
        assert [row.vector for row in rows[name]] == [
            [piece, w.end - w.begin + 2] for piece, w in zip(highest, windows, strict=True)
        ]
    assert_no_vector(rows, ["vector", "window", "begin", "end"])


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_tokens(notes: DataFrame, echo: Bundle, pooling: str) -> None:
    rows = collected(embed(notes, bundle=echo, options=options("token", pooling=pooling)))
    for name in ("long", "emoji", "short"):
        text = NOTES[name] or ""
        pieces = pieces_of(echo, text)
        vectors = piece_vectors(echo, pieces)
        words = [np.flatnonzero(pieces.words == word) for word in range(pieces.words.max() + 1)]
        pooled = [word[:1] if pooling == "first" else word for word in words]
        assert [row.token_index for row in rows[name]] == list(range(len(words)))
        assert [row.vector for row in rows[name]] == [mean_of(vectors[word]) for word in pooled]
        assert [row.token for row in rows[name]] == [text[row.begin : row.end] for row in rows[name]]
        assert "".join(row.token for row in rows[name]) == "".join(text.split())
    assert "👩🏽‍⚕️" in "".join(row.token for row in rows["emoji"])
    assert_no_vector(rows, ["vector", "token_index", "token", "begin", "end"])


@pytest.mark.parametrize(("splitter", "n_sentences"), [(NUPUNKT, 16), (SPARK_NLP, 24)])
def test_sentences_know_their_note(notes: DataFrame, echo: Bundle, splitter: str, n_sentences: int) -> None:
    rows = collected(embed(notes, bundle=echo, options=replace(options("sentence"), splitter=splitter)))
    for name in ("long", "emoji", "short"):
        text = NOTES[name] or ""
        pieces = pieces_of(echo, text)
        vectors = piece_vectors(echo, pieces)
        for row in rows[name]:
            assert row.vector == mean_of(vectors[(pieces.begins >= row.begin) & (pieces.begins < row.end)])
        assert [row.sentence for row in rows[name]] == list(range(len(rows[name])))
        assert "".join("".join(text[row.begin : row.end] for row in rows[name]).split()) == "".join(text.split())
    assert len(rows["long"]) == n_sentences  # Spark NLP's detector cuts at the semicolon too
    assert_no_vector(rows, ["vector", "sentence", "begin", "end"])


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_sentences_alone(notes: DataFrame, echo: Bundle, pooling: str) -> None:
    rows = collected(embed(notes, bundle=echo, options=options("sentence", pooling=pooling, context="sentence")))
    for name in ("long", "emoji", "short"):
        for row in rows[name]:
            pieces = pieces_of(echo, (NOTES[name] or "")[row.begin : row.end])
            first = float(echo.manifest.vocab_size + echo.manifest.cls_id)
            expected = mean_of(piece_vectors(echo, pieces)) if pooling == "mean" else [first, len(pieces) + 2]
            assert row.vector == expected
    assert len(rows["long"]) == 16


def test_cls_is_the_first_special_piece_of_each_window(notes: DataFrame, echo: Bundle) -> None:
    rows = collected(embed(notes, bundle=echo, options=options("window", pooling="cls")))
    first = float(echo.manifest.vocab_size + echo.manifest.cls_id)
    assert [row.vector[0] for row in rows["long"]] == [first] * len(rows["long"])
    [document] = collected(embed(notes, bundle=echo, options=options("document", pooling="cls")))["long"]
    assert document.vector[0] == first
    assert document.vector[1] == pytest.approx(np.mean([row.vector[1] for row in rows["long"]]))


def test_a_sentence_that_no_piece_begins_in_says_so(spark: SparkSession, tmp_path: Path) -> None:
    """Spark NLP's detector cuts at each of the dots, which are one piece."""
    asked = replace(options("sentence"), splitter=SPARK_NLP)
    dots = build_echo_bundle(spark, tmp_path, tokenizer_json=train_tokenizer(["..."] * 9), name="dots")
    notes = spark.createDataFrame([("dots", "...")], "note_id string, text string")
    rows = embed(notes, bundle=dots, options=asked).orderBy("sentence").collect()
    assert [(row.begin, row.status, row.vector is None) for row in rows] == [
        (0, "ok", False),
        (1, "no_pieces", True),
        (2, "no_pieces", True),
    ]


def rows_of_stages(notes: DataFrame, echo: Bundle, level: str, pooling: str, splitter: str) -> DataFrame:
    """What embed() gives, by stages."""
    from sparknlp.annotator import SentenceDetector
    from sparknlp.base import DocumentAssembler

    detected = splitter == SPARK_NLP
    by_cls = pooling == "cls"
    tokenizer = NoteTokenizer(
        tokenizer=echo.tokenizer_json(),
        maxPieces=MAX_PIECES + by_cls,
        stride=STRIDE,
        cls=by_cls,
        clsId=echo.manifest.cls_id,
        sentenceCol="found" if detected else "",
    )
    annotator = load(echo).setInputCols(["document", "token"]).setOutputCol("embeddings")
    detector = [
        DocumentAssembler().setInputCol("text").setOutputCol("assembled"),
        SentenceDetector().setInputCols(["assembled"]).setOutputCol("found"),
    ]
    stages = [
        *(detector if detected else []),
        tokenizer,
        annotator,
        VectorPooler.of(annotator, level=level, pooling=pooling).setCls(by_cls),
    ]
    return PipelineModel(stages).transform(notes).selectExpr("note_id", "inline(vectors)")


@pytest.mark.parametrize(
    ("level", "pooling", "splitter"),
    [
        ("document", "mean_max", NUPUNKT),
        ("document", "cls", NUPUNKT),
        ("window", "max", NUPUNKT),
        ("sentence", "mean", NUPUNKT),
        ("sentence", "max", SPARK_NLP),
        ("token", "first", NUPUNKT),
    ],
)
def test_stages_give_the_same_columns_and_rows(
    spark: SparkSession, notes: DataFrame, echo: Bundle, level: str, pooling: str, splitter: str
) -> None:
    use_models(spark, echo.path.parent)
    ours = rows_of_stages(notes, echo, level, pooling, splitter)
    asked = options(level, pooling=pooling)
    theirs = embed(notes, bundle=echo, options=replace(asked, splitter=splitter) if level == "sentence" else asked)
    assert ours.schema == theirs.schema
    assert ours.schema["vector"].metadata == theirs.schema["vector"].metadata
    found, expected = collected(ours), collected(theirs)
    for name in NOTES:
        assert len(found[name]) == len(expected[name]) > 0
        for row, other in zip(found[name], expected[name], strict=True):
            values, others = row.asDict(), other.asDict()
            vector, other_vector = values.pop("vector"), others.pop("vector")
            assert values == others
            assert vector == (None if other_vector is None else pytest.approx(other_vector, rel=1e-6))


@pytest.mark.parametrize(
    ("level", "pooling"),
    [("document", "mean"), ("document", "mean_max"), ("window", "cls"), ("sentence", "max"), ("token", "first")],
)
def test_vectors_of_norm_1(notes: DataFrame, echo: Bundle, level: str, pooling: str) -> None:
    asked = options(level, pooling=pooling)
    plain = collected(embed(notes, bundle=echo, options=asked))
    found = collected(embed(notes, bundle=echo, options=replace(asked, normalize=True)))
    for name in NOTES:
        for unit, row in zip(found[name], plain[name], strict=True):
            if row.vector is None:
                assert unit.vector is None
                continue
            assert abs(np.linalg.norm(np.array(unit.vector, np.float64)) - 1) < 1e-6
            assert unit.vector == pytest.approx((np.array(row.vector) / np.linalg.norm(row.vector)).tolist(), rel=1e-5)


@pytest.mark.parametrize("level", LEVELS)
def test_vectors_of_half_precision(notes: DataFrame, echo: Bundle, level: str) -> None:
    asked = options(level)
    frame = embed(notes, bundle=echo, options=replace(asked, vector_dtype="float16"))
    assert frame.schema["vector"].dataType == T.BinaryType()
    plain, found = (collected(rows) for rows in (embed(notes, bundle=echo, options=asked), frame))
    for name in NOTES:
        for half, row in zip(found[name], plain[name], strict=True):
            if row.vector is None:
                assert half.vector is None
            else:
                expected = np.array(row.vector, np.float32).astype(np.float16).tolist()
                assert np.frombuffer(half.vector, "<f2").tolist() == expected
        without = [{**row.asDict(), "vector": None} for row in found[name]]
        assert without == [{**row.asDict(), "vector": None} for row in plain[name]]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, {"dtype": "float32", "width": 2, "normalized": False}),
        ({"pooling": "mean_max", "normalize": True}, {"dtype": "float32", "width": 4, "normalized": True}),
        ({"vector_dtype": "float16"}, {"dtype": "float16", "width": 2, "normalized": False}),
    ],
)
def test_the_column_says_how_to_read_it(
    notes: DataFrame, echo: Bundle, tmp_path: Path, changed: dict[str, Any], said: dict[str, Any]
) -> None:
    """In the schema, and in files."""
    frame = embed(notes, bundle=echo, options=replace(options("document"), **changed))
    assert frame.schema["vector"].metadata == {"sparkclin": said}
    frame.write.parquet(str(tmp_path / "out"))
    written = notes.sparkSession.read.parquet(str(tmp_path / "out"))
    assert written.schema["vector"].metadata == {"sparkclin": said}


def test_numbers_that_half_precision_has_not_end_the_run(spark: SparkSession, tmp_path: Path) -> None:
    """The echo's numbers are ids; here one is beyond 65,504."""
    large = build_echo_bundle(spark, tmp_path, tokenizer_json=tokenizer_of_large_ids(), name="large")
    notes = spark.createDataFrame([("a", "fever"), ("b", "")], "note_id string, text string")
    asked = EmbedOptions(vector_dtype="float16")
    [first, _] = embed(notes, bundle=large, options=replace(asked, vector_dtype="float32")).orderBy("note_id").collect()
    assert first.vector[0] > 65_520
    with pytest.raises(
        PythonException, match="OptionError: numbers beyond 65,504, the largest of float16, are in 1 of 1"
    ) as raised:
        embed(notes.coalesce(1), bundle=large, options=asked).collect()
    assert "fever" not in str(raised.value)
    rows = embed(notes, bundle=large, options=replace(asked, normalize=True)).orderBy("note_id").collect()
    assert [len(row.vector or b"") for row in rows] == [4, 0]


def tokenizer_of_large_ids() -> str:
    """With so many ids that most are beyond 65,504 as the echo says them."""
    raw = json.loads(train_tokenizer(SAMPLE_TEXTS))
    vocabulary = raw["model"]["vocab"]
    for number in range(70_000):
        vocabulary[f"unused{number}"] = len(vocabulary)
    return json.dumps(raw)


@pytest.mark.parametrize(
    ("changed", "numbers"),
    [({}, 3 * 2), ({"pooling": "mean_max"}, 3 * 4), ({"vector_dtype": "float16"}, 1.5 * 2)],
)
def test_the_space_that_is_needed_follows_from_the_vectors(
    echo: Bundle, changed: dict[str, Any], numbers: float
) -> None:
    assert EmbedOptions(**changed).least_bytes(echo.manifest) == numbers


def test_windows_that_the_model_cuts_are_noticed(notes: DataFrame, echo: Bundle) -> None:
    tokenizer = NoteTokenizer(tokenizer=echo.tokenizer_json(), maxPieces=MAX_PIECES, stride=STRIDE)
    annotator = load(echo).setInputCols(["document", "token"]).setOutputCol("embeddings")
    stages = PipelineModel([tokenizer, annotator.setMaxSentenceLength(MAX_PIECES), VectorPooler()])
    with pytest.raises(PythonException, match=r"IncompleteError: \d+ pieces went into the model") as raised:
        stages.transform(notes.where("note_id = 'long'")).collect()
    assert "chest" not in str(raised.value)


def test_observation_counts_all_notes_in_the_same_pass(notes: DataFrame, echo: Bundle) -> None:
    observation = Observation("notes")
    frame = embed(
        notes,
        bundle=echo,
        options=options("token"),
        observe=lambda tokenized: tokenized.observe(observation, *count_columns()),
    )
    frame.collect()
    counts = NoteCounts.from_metrics(observation.get)
    sizes = [len(pieces_of(echo, text)) if text and text.strip() else 0 for text in NOTES.values()]
    assert (counts.notes, counts.pieces) == (len(NOTES), sum(sizes))
    assert counts.windows == sum(len(windows_of(size)) for size in sizes)
    assert {"ok": 3, "empty": 2, "null": 1}.items() <= counts.statuses.items()


def test_sentences_are_found_in_python_by_default(notes: DataFrame, echo: Bundle) -> None:
    rows = collected(embed(notes, bundle=echo, options=options("sentence")))
    for name, text in NOTES.items():
        expected = split_sentences(text) if text and text.strip() else ((None, None),)
        assert [(row.begin, row.end) for row in rows[name]] == list(expected)


def test_words_are_cut_where_the_text_is(notes: DataFrame, echo: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    """Spark counts all characters of the note before each word that it cuts out, which is quadratic."""
    rows = embed(notes, bundle=echo, options=options("token"))
    rows.explain(extended=True)
    assert "substring" not in capsys.readouterr().out
    for name, text in NOTES.items():
        assert all(row.token == (text or "")[row.begin : row.end] for row in collected(rows)[name] if row.vector)


def test_a_splitter_is_for_sentences_only() -> None:
    assert not EmbedOptions(level="sentence").needs_spark_nlp
    assert EmbedOptions(level="sentence", splitter=SPARK_NLP).needs_spark_nlp
    with pytest.raises(OptionError, match="sentence splitter was chosen for level 'document'"):
        EmbedOptions(splitter=NUPUNKT)


def test_notes_must_have_an_id_and_a_text(spark: SparkSession, echo: Bundle) -> None:
    with pytest.raises(InputError, match="no column note_id, text; the columns are id"):
        embed(spark.range(1), bundle=echo, options=options("document"))


@pytest.mark.usefixtures("spark_of_large_batches")
def test_arrow_batches_that_would_not_fit_a_worker(notes: DataFrame, echo: Bundle) -> None:
    with pytest.raises(SetupError, match=r"maxRecordsPerBatch is 10000.*spark.conf.set"):
        embed(notes, bundle=echo, options=options("sentence"))


def test_more_pieces_than_the_model_reads(notes: DataFrame, echo: Bundle) -> None:
    limit = echo.manifest.max_pieces
    with pytest.raises(OptionError, match=f"clinical_longformer reads at most {limit}"):
        embed(notes, bundle=echo, options=EmbedOptions(max_pieces=limit + 1))


@pytest.mark.parametrize(
    ("level", "pooling", "context"),
    [
        ("token", "cls", "note"),
        ("document", "first", "note"),
        ("sentence", "cls", "note"),
        ("document", "mean", "sentence"),
        ("sentence", "mean", "paragraph"),
        ("page", "mean", "note"),
    ],
)
def test_options_that_do_not_go_together(level: str, pooling: str, context: str) -> None:
    with pytest.raises(OptionError):
        EmbedOptions(level=level, pooling=pooling, context=context)


def test_white_space_between_words_is_in_no_token(echo: Bundle) -> None:
    pieces = pieces_of(echo, "a \n\n b")
    assert NO_WORD in pieces.words
