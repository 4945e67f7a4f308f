"""Pooling against plain definitions: a piece at a time, in Python's own floats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from sparkclin.errors import IncompleteError, InputError, OptionError, SetupError
from sparkclin.schema import MADE_BY
from sparkclin.stages.columns import PIECES_TYPE
from sparkclin.stages.vector_pooler import PoolerOptions, VectorPooler, pool_batches
from sparkclin.text.pieces import Floats, Pieces
from sparkclin.text.pooling import SegmentVector, pool_note
from sparkclin.text.tokenization import TokenizedNote
from sparkclin.text.windows import Range, Window, cut, own

WIDTH = 3
CLS = -1  # in Case.sent: a window's first special piece


@dataclass(frozen=True)
class Case:
    """A note and the vectors that a model gave for it; `sent` names the piece of each vector and its window."""

    note: TokenizedNote
    rows: Floats
    sent: list[tuple[int, int]]

    def of_piece(self, piece: int) -> Floats:
        """The vector of a piece from the window that owns it."""
        windows = own_by_definition(self.note)
        return self._row((piece, windows[piece]))

    def of_cls(self, window: int) -> Floats:
        return self._row((CLS, window))

    def _row(self, key: tuple[int, int]) -> Floats:
        row: Floats = self.rows[self.sent.index(key)]
        return row


def own_by_definition(note: TokenizedNote) -> list[int]:
    def edge_distance(piece: int, window: Range) -> int:
        return min(piece - window[0], window[1] - 1 - piece)

    holders = [[i for i, w in enumerate(note.windows) if w[0] <= p < w[1]] for p in range(len(note.pieces))]
    return [max(held, key=lambda i: (edge_distance(p, note.windows[i]), -i)) for p, held in enumerate(holders)]


def pieces_at(begins: npt.ArrayLike, ends: npt.ArrayLike, words: npt.ArrayLike) -> Pieces:
    first, after, numbers = (np.asarray(values, dtype=np.int32) for values in (begins, ends, words))
    return Pieces(ids=first, begins=first, ends=after, words=numbers)


def make_case(words: Sequence[int], sentence_sizes: Sequence[int], windows: Sequence[Range], *, cls: bool) -> Case:
    """Piece k is the characters 2k…2k+1 (a space between pieces); sentences are runs of pieces."""
    n_pieces = len(words)
    begins = np.arange(n_pieces, dtype=np.int32) * 2
    edges = np.cumsum([0, *sentence_sizes])
    note = TokenizedNote(
        pieces_at(begins, begins + 1, words),
        windows=windows,
        sentences=[(int(a) * 2, int(b) * 2 - 1) for a, b in pairwise(edges)],
    )
    sent = [
        (piece, index)
        for index, (begin, end) in enumerate(windows)
        for piece in ([CLS] if cls else []) + list(range(begin, end))
    ]
    rows = np.random.default_rng(len(sent)).normal(size=(len(sent), WIDTH)).astype(np.float32)
    return Case(note, rows, sent)


@st.composite
def cases(draw: st.DrawFn, *, cls: bool, within_sentences: bool = False) -> Case:
    sizes = draw(st.lists(st.integers(1, 12), min_size=1, max_size=5))
    max_pieces = draw(st.integers(1, 9))
    stride = draw(st.integers(0, max_pieces - 1))
    parts = sizes if within_sentences else [sum(sizes)]
    starts = np.cumsum([0, *parts])
    windows = [
        (int(start) + begin, int(start) + end)
        for start, size in zip(starts, parts, strict=False)
        for begin, end in cut(size, max_pieces, stride)
    ]
    words: list[int] = []
    while len(words) < sum(sizes):
        n_words = max(words, default=-1) + 1
        words += [draw(st.sampled_from([-1, n_words]))] * draw(st.integers(1, 3))
    return make_case(words[: sum(sizes)], sizes, windows, cls=cls)


def pooled(case: Case, level: str, pooling: str, *, cls: bool = False) -> list[SegmentVector]:
    return pool_note(case.rows, case.note, level=level, pooling=pooling, brings_cls=cls)


def plain(vectors: Sequence[Floats], pooling: str) -> list[float]:
    columns = [[float(vector[i]) for vector in vectors] for i in range(WIDTH)]
    means, largest = [sum(c) / len(c) for c in columns], [max(c) for c in columns]
    return {"mean": means, "max": largest, "mean_max": means + largest, "first": [c[0] for c in columns]}[pooling]


def assert_vectors(segments: Sequence[SegmentVector], expected: Sequence[list[float]]) -> None:
    assert len(segments) == len(expected)
    for segment, vector in zip(segments, expected, strict=True):
        assert segment.vector is not None
        assert segment.vector.dtype == np.float32
        np.testing.assert_allclose(segment.vector, vector, rtol=1e-6, atol=1e-7)


segment_poolings = st.sampled_from(["mean", "max", "mean_max"])


@given(st.booleans().flatmap(lambda cls: st.tuples(cases(cls=cls), st.just(cls))), segment_poolings)
def test_document_is_every_piece_once_from_its_own_window(drawn: tuple[Case, bool], pooling: str) -> None:
    case, cls = drawn
    segments = pooled(case, "document", pooling, cls=cls)
    assert_vectors(segments, [plain([case.of_piece(p) for p in range(len(case.note.pieces))], pooling)])
    assert (segments[0].begin, segments[0].end) == (0, case.note.pieces.ends[-1])


@given(cases(cls=True), segment_poolings)
def test_window_is_all_of_its_own_pieces(case: Case, pooling: str) -> None:
    segments = pooled(case, "window", pooling, cls=True)
    own = [
        [row for row, (p, w) in zip(case.rows, case.sent, strict=True) if w == i and p != CLS]
        for i in window_indices(case)
    ]
    assert_vectors(segments, [plain(rows, pooling) for rows in own])
    assert [(s.begin, s.end) for s in segments] == [(2 * b, 2 * e - 1) for b, e in case.note.windows]


@given(cases(cls=False), segment_poolings)
def test_sentence_is_the_pieces_that_begin_in_it(case: Case, pooling: str) -> None:
    segments = pooled(case, "sentence", pooling)
    pieces = [[p for p in range(len(case.note.pieces)) if begin <= 2 * p < end] for begin, end in case.note.sentences]
    assert_vectors(segments, [plain([case.of_piece(p) for p in own], pooling) for own in pieces])
    assert [(s.begin, s.end) for s in segments] == case.note.sentences


@given(cases(cls=False), st.sampled_from(["mean", "first"]))
def test_token_is_the_pieces_of_a_word(case: Case, pooling: str) -> None:
    segments = pooled(case, "token", pooling)
    words: dict[int, list[int]] = {}
    for piece, word in enumerate(case.note.pieces.words.tolist()):
        words.setdefault(word, []).append(piece)
    words.pop(-1, None)
    assert_vectors(segments, [plain([case.of_piece(p) for p in own], pooling) for own in words.values()])
    assert [(s.begin, s.end) for s in segments] == [(2 * own[0], 2 * own[-1] + 1) for own in words.values()]


@given(cases(cls=True))
def test_cls_of_documents_and_windows(case: Case) -> None:
    each = [case.of_cls(w) for w in window_indices(case)]
    assert_vectors(pooled(case, "document", "cls", cls=True), [plain(each, "mean")])
    assert_vectors(pooled(case, "window", "cls", cls=True), [plain([vector], "mean") for vector in each])


@given(cases(cls=True, within_sentences=True))
def test_cls_of_a_sentence_is_the_mean_over_its_windows(case: Case) -> None:
    expected = [
        plain([case.of_cls(w) for w in window_indices(case) if begin <= 2 * case.note.windows[w][0] < end], "mean")
        for begin, end in case.note.sentences
    ]
    assert_vectors(pooled(case, "sentence", "cls", cls=True), expected)


def test_cls_of_a_sentence_needs_windows_of_its_own() -> None:
    case = make_case([0, 1, 2, 3], [2, 2], [(0, 3), (2, 4)], cls=True)
    with pytest.raises(OptionError, match="context sentence"):
        pooled(case, "sentence", "cls", cls=True)


def window_indices(case: Case) -> range:
    return range(len(case.note.windows))


def test_means_are_summed_in_float64() -> None:
    case = make_case([0] * 5000, [5000], [(0, 5000)], cls=False)
    rows = np.full((5000, WIDTH), 0.1, dtype=np.float32)
    rows[0] = 1e6
    exact = (1e6 + 4999 * float(np.float32(0.1))) / 5000
    for level in ("document", "window", "sentence", "token"):
        [segment] = pool_note(rows, case.note, level=level, pooling="mean", brings_cls=False)
        assert segment.vector is not None
        assert segment.vector.tolist() == [np.float32(exact)] * WIDTH


def test_a_sentence_without_pieces_of_its_own_has_no_vector() -> None:
    note = TokenizedNote(
        pieces_at([0], [2], [0]),
        windows=[(0, 1)],
        sentences=[(0, 1), (1, 2)],
    )
    rows = np.ones((1, WIDTH), np.float32)
    segments = pool_note(rows, note, level="sentence", pooling="mean", brings_cls=False)
    assert [segment.vector is None for segment in segments] == [False, True]


@pytest.mark.parametrize(("cls", "n_vectors"), [(False, 8), (False, 10), (True, 9), (True, 10)])
def test_vectors_that_do_not_account_for_all_pieces(cls: bool, n_vectors: int) -> None:  # noqa: FBT001
    case = make_case([0] * 7, [7], [(0, 5), (3, 7)], cls=cls)
    expected = 9 + 2 * cls
    with pytest.raises(IncompleteError, match=f"{expected} pieces went into the model, {n_vectors} vectors came out"):
        pool_note(np.zeros((n_vectors, WIDTH), np.float32), case.note, level="document", pooling="mean", brings_cls=cls)


@pytest.mark.parametrize(
    ("level", "pooling"),
    [
        ("token", "cls"),
        ("token", "max"),
        ("token", "mean_max"),
        ("document", "first"),
        ("note", "mean"),
        ("window", "sum"),
    ],
)
def test_poolings_that_a_level_has_not(level: str, pooling: str) -> None:
    with pytest.raises(OptionError, match=pooling):
        PoolerOptions(level=level, pooling=pooling, brings_cls=True)


def test_cls_without_the_vector_of_the_first_special_piece() -> None:
    with pytest.raises(OptionError, match="NoteTokenizer"):
        PoolerOptions(level="document", pooling="cls", brings_cls=False)


def test_a_note_of_9000_pieces_counts_each_once() -> None:
    windows = own(cut(9000, 4094, 512))
    case = make_case(range(9000), [9000], [(w.begin, w.end) for w in windows], cls=False)
    rows = np.array([[piece, window, 1] for piece, window in case.sent], np.float32)
    segments = pool_note(rows, case.note, level="token", pooling="mean", brings_cls=False)
    found = np.stack([segment.vector for segment in segments if segment.vector is not None])
    assert found[:, 0].tolist() == list(range(9000))
    assert found[:, 1].tolist() == [index for index, w in enumerate(windows) for _ in range(*owned(w))]


def owned(window: Window) -> Range:
    return window.own_begin, window.own_end


def batch_of(case: Case, *, note_id: int) -> dict[str, Any]:
    note = case.note
    return {
        "note_id": note_id,
        "pieces": {
            "begin": note.pieces.begins.tolist(),
            "end": note.pieces.ends.tolist(),
            "word": note.pieces.words.tolist(),
            "windows": [{"begin": b, "end": e} for b, e in note.windows],
            "sentences": [{"begin": b, "end": e} for b, e in note.sentences],
        },
        "vectors": case.rows.tolist(),
    }


EMPTY = make_case([], [], [], cls=False)


def test_batches_keep_their_notes_apart() -> None:
    many = [make_case(range(n), [n], cut(n, 4, 2), cls=False) for n in (5, 1, 9)]
    rows = [batch_of(case, note_id=index) for index, case in enumerate([many[0], EMPTY, *many[1:]])]
    batch = pa.RecordBatch.from_pylist(rows, schema=ARROW_ROWS)
    options = PoolerOptions(level="token", pooling="mean", brings_cls=False)
    found = pa.Table.from_batches(
        list(pool_batches(iter([batch.slice(1), batch]), options=options, pieces_column="pieces", text_column=None))
    )
    entries = dict(zip(found["note_id"].to_pylist(), found["vectors"].to_pylist(), strict=True))
    assert entries[1] == []
    for note_id, case in zip((0, 2, 3), many, strict=True):
        assert [entry["index"] for entry in entries[note_id]] == list(range(len(case.note.pieces)))
        assert [entry["vector"] for entry in entries[note_id]] == [
            case.of_piece(p).tolist() for p in range(len(case.note.pieces))
        ]


_RANGES = pa.list_(pa.struct({"begin": pa.int32(), "end": pa.int32()}))
_INTS = pa.list_(pa.int32())
ARROW_ROWS = pa.schema(
    {
        "note_id": pa.int64(),
        "pieces": pa.struct({"begin": _INTS, "end": _INTS, "word": _INTS, "windows": _RANGES, "sentences": _RANGES}),
        "vectors": pa.list_(pa.list_(pa.float32())),
    }
)

_EMBEDDED = T.StructType(
    [
        T.StructField("note_id", T.LongType(), metadata={"from": "hospital"}),
        T.StructField("document", T.StringType()),
        T.StructField("token", T.StringType()),
        T.StructField("text", T.StringType()),
        T.StructField("pieces", PIECES_TYPE),
        T.StructField("n_pieces", T.IntegerType()),
        T.StructField("n_windows", T.IntegerType()),
        T.StructField("status", T.StringType()),
        T.StructField(
            "embeddings", T.ArrayType(T.StructType([T.StructField("embeddings", T.ArrayType(T.FloatType()))]))
        ),
    ]
)


def embedded(spark: SparkSession, *cases: Case) -> DataFrame:
    rows = []
    for index, case in enumerate(cases):
        annotations = [{"embeddings": vector} for vector in case.rows.tolist()]
        n_pieces = len(case.note.pieces)
        counts = (n_pieces, len(case.note.windows), "ok" if n_pieces else "empty")
        text = " ".join("abcdefgh"[:n_pieces])
        rows.append((index, "", "", text, batch_of(case, note_id=index)["pieces"], *counts, annotations))
    return spark.createDataFrame(rows, _EMBEDDED)


def test_the_stage_pools_and_drops_what_is_large(spark: SparkSession) -> None:
    case = make_case([0, 0, 1], [3], [(0, 2), (1, 3)], cls=False)
    frame = VectorPooler(level="token", pooling="first").transform(embedded(spark, case, EMPTY))
    assert frame.columns == ["note_id", "text", "pieces", "n_pieces", "n_windows", "status", "vectors"]
    assert frame.schema["note_id"].metadata == {"from": "hospital"}
    rows = {row.note_id: row.vectors for row in frame.collect()}
    assert [list(entry.vector) for entry in rows[0]] == [case.of_piece(0).tolist(), case.of_piece(2).tolist()]
    assert [(entry.token_index, entry.token, entry.begin, entry.end) for entry in rows[0]] == [
        (0, "a b", 0, 3),
        (1, "c", 4, 5),
    ]
    [none] = rows[1]
    assert (none.status, none.pooling) == ("empty", "first")
    assert {value for name, value in none.asDict().items() if name not in ("status", "pooling")} == {None}


def test_a_note_without_vectors_keeps_its_row(spark: SparkSession) -> None:
    case = make_case([0, 0, 1], [3], [(0, 2), (1, 3)], cls=False)
    frame = VectorPooler().transform(embedded(spark, case, EMPTY)).selectExpr("note_id", "inline(vectors)")
    rows = [(row.note_id, row.vector is None, row.n_pieces, row.n_windows, row.status) for row in frame.collect()]
    assert sorted(rows) == [(0, False, 3, 2, "ok"), (1, True, 0, 0, "empty")]


def test_words_need_the_text(spark: SparkSession) -> None:
    frame = embedded(spark, EMPTY).withColumnRenamed("text", "words")
    with pytest.raises(InputError, match="there is no column text"):
        VectorPooler(level="token").transform(frame)
    assert VectorPooler(level="token").setTextCol("words").transform(frame).count() == 1
    assert VectorPooler().transform(frame).count() == 1


def test_the_stage_names_missing_columns(spark: SparkSession) -> None:
    with pytest.raises(
        InputError,
        match="VectorPooler: there is no column embeddings, pieces, n_pieces, n_windows, status; the columns are id",
    ):
        VectorPooler().transform(spark.range(1))


def test_the_stage_overwrites_no_column(spark: SparkSession) -> None:
    frame = embedded(spark, EMPTY).withColumnRenamed("document", "Vectors")
    with pytest.raises(InputError, match="columns that would be added are there already: vectors"):
        VectorPooler().transform(frame)


def test_the_stage_is_saved_and_loaded(spark: SparkSession, tmp_path: Path) -> None:
    pooler = VectorPooler(level="token", model="a_model", modelDigest="0123").setPooling("first").setOutputCol("words")
    pooler.save(str(tmp_path / "pooler"))
    loaded = VectorPooler.load(str(tmp_path / "pooler"))
    frame = embedded(spark, make_case([0, 0, 1], [3], [(0, 2), (1, 3)], cls=False))
    assert loaded.uid == pooler.uid
    assert loaded.transform(frame).collect() == pooler.transform(frame).collect()
    made_by = {tuple(word[name] for name in MADE_BY) for word in loaded.transform(frame).collect()[0].words}
    assert made_by == {("a_model", None, None, "0123")}


def test_the_stage_refuses_large_arrow_batches(spark_of_large_batches: SparkSession) -> None:
    with pytest.raises(SetupError, match=r"maxRecordsPerBatch is 10000.*spark.conf.set"):
        VectorPooler().transform(embedded(spark_of_large_batches, EMPTY))
