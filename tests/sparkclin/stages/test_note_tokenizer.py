"""NoteTokenizer in a Spark NLP pipeline: what reaches the model, what comes back, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from tokenizers import Tokenizer

from sparkclin.errors import InputError, OptionError
from sparkclin.models.bundle import Bundle
from sparkclin.models.pretrained import load, use_models
from sparkclin.models.repository import ModelRepository
from sparkclin.stages.note_tokenizer import NoteTokenizer
from sparkclin.text.pieces import PieceEncoder
from sparkclin.text.sentences import split_sentences
from testkit.echo import build_echo_bundle
from testkit.material import mtsamples, roberta_tokenizer_json

HARD = [
    "He's had 120/80 </s><mask> <s>\r\n\r\n\te\u0301 😀👩🏽‍⚕️\u00a0 \u2028x\ufeff <pad>.",
    " \n leading space. Fever 😀😀. And 38.5\u00b0C; no cough ",
    "x",
]


@pytest.fixture(scope="module")
def echo(echo_models: Path) -> Bundle:
    return ModelRepository(echo_models).find("clinical_longformer")


def frame_of(spark: SparkSession, texts: Sequence[str | None]) -> DataFrame:
    return spark.createDataFrame(list(enumerate(texts)), "note_id int, text string")


def tokenizer_of(bundle: Bundle) -> NoteTokenizer:
    return NoteTokenizer(tokenizer=bundle.tokenizer_json(), clsId=bundle.manifest.cls_id)


def annotator_of(bundle: Bundle) -> Any:
    return load(bundle).setInputCols(["document", "token"]).setOutputCol("embeddings")


def rows_of(frame: DataFrame) -> list[Row]:
    return frame.orderBy("note_id").collect()


def ids_that_arrived(bundle: Bundle, row: Row) -> list[int]:
    """From the echo model's vectors; it sees a code of id k as V + k."""
    return [int(annotation.embeddings[0]) - bundle.manifest.vocab_size for annotation in row.embeddings]


def windowed(ids: Sequence[int], row: Row, *, cls_id: int | None = None) -> list[int]:
    first = [] if cls_id is None else [cls_id]
    return [piece for window in row.pieces.windows for piece in [*first, *ids[window.begin : window.end]]]


@pytest.fixture(scope="module")
def roberta_echo(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    pytest.importorskip("sparkclin.export.graph.tensorflow", reason="needs the export extra to build the echo model")
    root = tmp_path_factory.mktemp("roberta")
    return build_echo_bundle(spark, root, tokenizer_json=roberta_tokenizer_json(), name="roberta_echo")


@pytest.mark.export
def test_ids_of_real_notes_reach_the_model_as_the_hugging_face_tokenizer_makes_them(
    spark: SparkSession, roberta_echo: Bundle
) -> None:
    transformers = pytest.importorskip("transformers")
    reference = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(roberta_tokenizer_json()), split_special_tokens=True
    )
    notes = [*mtsamples(12), *HARD]  # tests/sparkclin/text/test_pieces.py compares 150 without Spark
    stages = PipelineModel([tokenizer_of(roberta_echo), annotator_of(roberta_echo)])
    rows = rows_of(stages.transform(frame_of(spark, notes)).drop("document", "token"))
    expected = [reference(note, add_special_tokens=False)["input_ids"] for note in notes]
    assert [ids_that_arrived(roberta_echo, row) for row in rows] == [
        windowed(ids, row) for ids, row in zip(expected, rows, strict=True)
    ]
    assert [row.n_pieces for row in rows] == [len(ids) for ids in expected]


@pytest.mark.parametrize("cls", [False, True])
def test_all_windows_of_a_long_note_arrive(spark: SparkSession, echo: Bundle, cls: bool) -> None:  # noqa: FBT001
    notes = ["Fever and cough. " * 60, *HARD]
    tokenizer = tokenizer_of(echo).setMaxPieces(50).setStride(20).setCls(cls)
    annotator = annotator_of(echo).setMaxSentenceLength(52)
    rows = rows_of(PipelineModel([tokenizer, annotator]).transform(frame_of(spark, notes)))
    encoded = PieceEncoder(echo.tokenizer_json()).encode(notes)
    cls_id = echo.manifest.cls_id if cls else None
    for row, pieces in zip(rows, encoded, strict=True):
        assert ids_that_arrived(echo, row) == windowed(pieces.ids.tolist(), row, cls_id=cls_id)
        assert (row.n_pieces, row.n_windows) == (len(pieces), len(row.pieces.windows))
        assert row.pieces.windows[-1].end == len(pieces)
        assert (row.pieces.begin, row.pieces.end) == (pieces.begins.tolist(), pieces.ends.tolist())
        assert row.pieces.word == pieces.words.tolist()
    assert rows[0].n_windows > 5
    assert max(window.end - window.begin for window in rows[0].pieces.windows) == 50 - cls


def test_a_note_of_9000_pieces(spark: SparkSession, echo: Bundle) -> None:
    [per_word] = PieceEncoder(echo.tokenizer_json()).encode([" fever"])
    text = " fever" * (9000 // len(per_word))
    stages = PipelineModel([tokenizer_of(echo), annotator_of(echo)])
    [row] = rows_of(stages.transform(frame_of(spark, [text])))
    assert row.n_pieces == 9000
    assert [tuple(window) for window in row.pieces.windows] == [(0, 4094), (3582, 7676), (7164, 9000)]
    assert ids_that_arrived(echo, row) == windowed(per_word.ids.tolist() * (9000 // len(per_word)), row)


def test_notes_without_text_are_kept(spark: SparkSession, echo: Bundle) -> None:
    stages = PipelineModel([tokenizer_of(echo), annotator_of(echo)])
    rows = rows_of(stages.transform(frame_of(spark, ["", None, " \r\n\t\u00a0", "x"])))
    assert [(row.status, row.n_pieces, row.n_windows) for row in rows] == [
        ("empty", 0, 0), ("null", 0, 0), ("empty", 0, 0), ("ok", 1, 1),
    ]  # fmt: skip
    assert [len(row.embeddings) for row in rows] == [0, 0, 0, 1]


def test_more_notes_than_one_batch_holds_keep_their_order_and_other_columns(spark: SparkSession, echo: Bundle) -> None:
    frame = frame_of(spark, [f"note {index}" for index in range(40)]).coalesce(1)
    frame = frame.withColumn("more", F.struct(F.col("note_id"), F.map_from_arrays(F.array("text"), F.array("note_id"))))
    frame = frame.withMetadata("note_id", {"from": "hospital"})
    out = tokenizer_of(echo).transform(frame)
    assert out.schema["note_id"].metadata == {"from": "hospital"}
    assert out.schema["token"].metadata == {"annotatorType": "token"}
    assert out.columns == [*frame.columns, "document", "token", "pieces", "n_pieces", "n_windows", "status"]
    rows = out.drop("document", "token", "pieces", "n_pieces", "n_windows", "status").collect()
    assert rows == frame.collect()


def sentence_stages() -> list[Any]:
    from sparknlp.annotator import SentenceDetector
    from sparknlp.base import DocumentAssembler

    assembler = DocumentAssembler().setInputCol("text").setOutputCol("assembled")
    return [assembler, SentenceDetector().setInputCols(["assembled"]).setOutputCol("sentence")]


def test_sentences_of_spark_nlp_are_handed_on_in_code_points(spark: SparkSession, echo: Bundle) -> None:
    stages = PipelineModel([*sentence_stages(), tokenizer_of(echo).setSentenceCol("sentence")])
    out = stages.transform(frame_of(spark, [*HARD, None, ""]))
    assert out.schema["sentence"].metadata["annotatorType"] == "document"
    for row in rows_of(out):
        sentences = [row.text[found.begin : found.end] for found in row.pieces.sentences]
        assert sentences == ([found.result for found in row.sentence] if row.text else [])
    assert out.where("size(pieces.windows) > 1").count() == 0


def test_sentences_are_found_in_python_without_a_sentence_column(spark: SparkSession, echo: Bundle) -> None:
    out = tokenizer_of(echo).setContext("sentence").transform(frame_of(spark, [*HARD, None, ""]))
    for row in rows_of(out):
        found = [(sentence.begin, sentence.end) for sentence in row.pieces.sentences]
        assert found == (list(split_sentences(row.text)) if row.n_pieces else [])


def test_context_sentence_tokenizes_each_alone(spark: SparkSession, echo: Bundle) -> None:
    tokenizer = tokenizer_of(echo).setSentenceCol("sentence").setContext("sentence").setMaxPieces(9).setStride(2)
    annotator = annotator_of(echo)
    rows = rows_of(PipelineModel([*sentence_stages(), tokenizer, annotator]).transform(frame_of(spark, HARD)))
    encoder = PieceEncoder(echo.tokenizer_json())
    for row in rows:
        ids = [pieces.ids.tolist() for pieces in encoder.encode([found.result for found in row.sentence])]
        assert row.n_pieces == sum(map(len, ids))
        assert ids_that_arrived(echo, row) == windowed([piece for own in ids for piece in own], row)
        ends = [sum(map(len, ids[: index + 1])) for index in range(len(ids))]
        assert all(not window.begin < end < window.end for window in row.pieces.windows for end in ends)


def test_saved_and_loaded_with_a_pipeline(spark: SparkSession, echo: Bundle, tmp_path: Path) -> None:
    tokenizer = tokenizer_of(echo).setMaxPieces(30).setStride(7).setCls(True).setSentenceCol("sentence")
    pipeline = Pipeline(stages=[*sentence_stages(), tokenizer, annotator_of(echo)])
    frame = frame_of(spark, HARD)
    fitted = pipeline.fit(frame)
    fitted.write().overwrite().save(str(tmp_path / "fitted"))
    loaded = PipelineModel.load(str(tmp_path / "fitted"))
    assert rows_of(loaded.transform(frame)) == rows_of(fitted.transform(frame))
    stage = loaded.stages[2]
    assert isinstance(stage, NoteTokenizer)
    assert (stage.uid, stage.tokenizer) == (tokenizer.uid, tokenizer.tokenizer)
    assert "merges" not in stage.explainParams()
    pipeline.save(str(tmp_path / "unfitted"))
    assert rows_of(Pipeline.load(str(tmp_path / "unfitted")).fit(frame).transform(frame)) == rows_of(
        fitted.transform(frame)
    )


def test_pretrained_takes_the_models_own_limits(spark: SparkSession, echo_models: Path, echo: Bundle) -> None:
    use_models(spark, echo_models)
    tokenizer = NoteTokenizer.pretrained("clinical_longformer")
    assert tokenizer.tokenizer == echo.tokenizer_json()
    assert tokenizer.getOrDefault("maxPieces") == echo.manifest.max_pieces
    assert tokenizer.getOrDefault("clsId") == echo.manifest.cls_id


def test_columns_are_checked_at_once(spark: SparkSession, echo: Bundle) -> None:
    frame = spark.range(1).select(
        "id", F.lit("x").alias("Status"), F.lit("x").alias("document"), F.lit(1).alias("text")
    )
    with pytest.raises(InputError) as raised:
        tokenizer_of(echo).setSentenceCol("sentence").transform(frame)
    message = str(raised.value)
    assert "there is no column sentence; the columns are id, Status, document, text" in message
    assert "columns that would be added are there already: document, status" in message
    assert "column text is int, expected a string per note" in message


def test_a_sentence_column_must_hold_annotations(spark: SparkSession, echo: Bundle) -> None:
    frame = spark.createDataFrame([("a", "b")], "text string, sentence string")
    with pytest.raises(InputError, match="column sentence is string, expected Spark NLP annotations"):
        tokenizer_of(echo).setSentenceCol("sentence").transform(frame)


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [
        (NoteTokenizer(), "pretrained"),
        (NoteTokenizer(tokenizer="{}", maxPieces=5, stride=5), "max_pieces is 5 and stride 5"),
        (NoteTokenizer(tokenizer="{}", maxPieces=5, stride=4, cls=True), "max_pieces is 4 and stride 4"),
        (NoteTokenizer(tokenizer="{}", context="word"), "there is no context 'word'"),
    ],
)
def test_settings_that_cannot_be(spark: SparkSession, tokenizer: NoteTokenizer, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        tokenizer.transform(frame_of(spark, ["x"]))


def test_text_that_is_not_utf8_has_a_status_and_can_be_mended(spark: SparkSession, echo: Bundle) -> None:
    broken = spark.createDataFrame([(0, b"fi\xe8vre"), (1, b"cough"), (2, None)], "note_id int, raw binary").coalesce(1)
    frame = broken.select("note_id", F.expr("cast(raw as string)").alias("text"))
    statuses = {row.note_id: row.status for row in tokenizer_of(echo).transform(frame).collect()}
    assert statuses == {0: "not_utf8", 1: "ok", 2: "null"}
    mended = frame.withColumn("text", F.expr("decode(encode(text, 'UTF-8'), 'UTF-8')"))
    assert [row.text for row in rows_of(tokenizer_of(echo).transform(mended))] == ["fi\ufffdvre", "cough", None]
