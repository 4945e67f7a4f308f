"""Notes through packed batches and back: every output lands on its own note, or an error is raised.

The model in between is a few lines: its outputs for a segment part are the mean and the maximum of the piece ids, so
that each number tells which pieces it is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkclin.errors import IncompleteError
from sparkclin.text.pieces import PieceEncoder
from sparkclin.text.pooling import OUTPUTS_OF_POOLING, merge_note
from sparkclin.text.segments import plan_segments
from sparkclin.text.windows import WindowOptions
from sparkclin.wire import codes
from sparkclin.wire.annotations import DOCUMENT
from sparkclin.wire.batches import NoteColumns
from sparkclin.wire.chunks import ChunkLimits, ChunkOptions
from sparkclin.wire.outputs import Output, Outputs
from sparkclin.wire.packing import (
    BATCH,
    BEGINS,
    NOTES,
    PARTS,
    PackingOptions,
    UnpackingOptions,
    pack_batches,
    unpack_batches,
)
from sparkclin.wire.tags import BEGIN, OUTSIDE, Vocabulary
from testkit.tokenizers import train_tokenizer

TEXTS = ["fever and cough", "no chest pain", None, "", "BP 120/80, pulse 72, afebrile", "x", "well " * 5, " \n"] * 3
ENCODER = PieceEncoder(train_tokenizer(["fever and cough", "no chest pain"]))
VOCABULARY = Vocabulary(size=ENCODER.n_ids, cls_id=0, sep_id=2, pad_id=1)
WIDTH = 2  # the same number twice
ALL = (Output("mean", WIDTH), Output("max", WIDTH))
TINY = ChunkLimits(notes=5)  # TEXTS repeat after 8: chunks differ, note by note

Rows = list[dict[str, Any]]


def notes_batch(texts: Sequence[str | None]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(
        {"note_id": pa.array(range(len(texts)), pa.int64()), "text": pa.array(texts, pa.string())}
    )


def packing(*, level: str = "token", pooling: str = "mean", limits: ChunkLimits = TINY, **more: bool) -> PackingOptions:
    return PackingOptions(
        notes=ChunkOptions(
            carried=pa.schema({"note_id": pa.int64()}),
            columns=NoteColumns(text="text"),
            windows=WindowOptions(max_pieces=12, stride=4),
            plan=partial(plan_segments, level=level, pooling=pooling),
            vocabulary=VOCABULARY,
            limits=limits,
            **more,
        ),
        request=None,
    )


def unpacking(*, pooling: str = "mean", selectable: bool = True) -> UnpackingOptions:
    return UnpackingOptions(
        outputs=Outputs(all=ALL, selectable=selectable),
        wanted=OUTPUTS_OF_POOLING[pooling],
        merge=partial(merge_note, pooling=pooling),
    )


def packed(texts: Sequence[str | None], options: PackingOptions, *, partition: int = 0) -> list[pa.RecordBatch]:
    batches = iter([notes_batch(texts[:5]), notes_batch(texts)[5:]])
    return list(pack_batches(batches, encoder=ENCODER, options=options, partition=partition))


def run_model(rows: Iterable[pa.RecordBatch], asked: Sequence[str] = ("mean",)) -> list[pa.RecordBatch]:
    """What a host annotator makes of the packed batches, with a model of means and maxima of ids."""
    return [with_outputs(row, asked) for row in rows]


def with_outputs(row: pa.RecordBatch, asked: Sequence[str]) -> pa.RecordBatch:
    documents = row.column(DOCUMENT).to_pylist()[0]
    vectors = [outputs_of(document["result"], asked) for document in documents]
    columns = {
        BATCH: row.column(BATCH),
        PARTS: row.column(PARTS),
        NOTES: row.column(NOTES),
        BEGINS: pa.array([[document["begin"] for document in documents]], pa.list_(pa.int32())),
        "vectors": pa.array([vectors], pa.list_(pa.list_(pa.float32()))),
    }
    return pa.RecordBatch.from_pydict(columns)


def outputs_of(text: str, asked: Sequence[str]) -> list[float]:
    parts: list[list[int]] = []
    for word in text.split():
        tag, piece = divmod(codes.decode(word), VOCABULARY.size)
        if tag == BEGIN:
            parts.append([])
        if tag != OUTSIDE:
            parts[-1].append(piece)
    make: dict[str, Callable[[list[int]], Any]] = {"mean": np.mean, "max": np.max}
    return [float(make[name](part)) for part in parts for name in asked for _ in range(WIDTH)]


def unpacked(rows: Iterable[pa.RecordBatch], options: UnpackingOptions, *, partition: int = 0) -> Rows:
    found: Rows = []
    for batch in unpack_batches(iter(rows), options=options, partition=partition):
        found += batch.to_pylist()
    return found


def expected_vectors(text: str | None, pooling: str) -> list[list[float]]:
    if not (text or "").strip():
        return []
    [pieces] = ENCODER.encode([text or ""])
    of_word: dict[int, list[int]] = {}
    for piece, word in zip(pieces.ids.tolist(), pieces.words.tolist(), strict=True):
        if word >= 0:
            of_word.setdefault(word, []).append(piece)
    ids = [word[:1] if pooling == "first" else word for word in of_word.values()]
    return [[pytest.approx(np.mean(word), rel=1e-6)] * WIDTH for word in ids]  # type: ignore[list-item]


@pytest.mark.parametrize("limits", [TINY, ChunkLimits(), ChunkLimits(pieces=1), ChunkLimits(notes=1)])
@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_every_note_comes_back_once_in_order_with_its_own_vectors(limits: ChunkLimits, pooling: str) -> None:
    rows = unpacked(run_model(packed(TEXTS, packing(pooling=pooling, limits=limits))), unpacking(pooling=pooling))
    assert [row["note_id"] for row in rows] == list(range(len(TEXTS)))
    for row, text in zip(rows, TEXTS, strict=True):
        assert [entry["vector"] for entry in row["vectors"]] == expected_vectors(text, pooling)
        assert row["status"] == ("null" if text is None else "ok" if text.strip() else "empty")


def test_a_note_of_many_words_comes_back_in_slices() -> None:
    """Its vectors and words are those of the note in one piece, and each note is counted once."""
    limits = ChunkLimits(parts=2)
    rows = unpacked(run_model(packed(TEXTS, packing(limits=limits, with_text=True, divisible=True))), unpacking())
    assert len(rows) > len(TEXTS)
    assert [row["note_id"] for row in rows if row["status"] is not None] == list(range(len(TEXTS)))
    for note_id, text in enumerate(TEXTS):
        entries = [entry for row in rows if row["note_id"] == note_id for entry in row["vectors"]]
        assert [entry["index"] for entry in entries] == list(range(len(entries)))
        assert [entry["vector"] for entry in entries] == expected_vectors(text, "mean")
        assert [entry["text"] for entry in entries] == [(text or "")[e["begin"] : e["end"]] for e in entries]


def test_a_chunk_ends_at_each_limit() -> None:
    chunks = {
        name: packed(["fever and cough"] * 8, packing(limits=limits))[-1].column(BATCH).to_pylist()[0]["chunk"]
        for name, limits in {
            "one": ChunkLimits(),
            "notes": ChunkLimits(notes=2),
            "pieces": ChunkLimits(pieces=1),
            "parts": ChunkLimits(parts=4),
        }.items()
    }
    assert chunks == {"one": 1, "notes": 4, "pieces": 8, "parts": 4}


@pytest.mark.parametrize("pooling", ["mean", "max", "mean_max"])
@pytest.mark.parametrize("selectable", [True, False])
def test_only_the_outputs_that_were_asked_for_are_read(pooling: str, selectable: bool) -> None:  # noqa: FBT001
    options = unpacking(pooling=pooling, selectable=selectable)
    asked = tuple(output.name for output in ALL) if not selectable else options.wanted
    found = unpacked(run_model(packed(TEXTS, packing(level="document")), asked), options)
    [pieces] = ENCODER.encode([TEXTS[0] or ""])
    makers = {"mean": [pieces.ids.mean()], "max": [pieces.ids.max()], "mean_max": [pieces.ids.mean(), pieces.ids.max()]}
    expected = [pytest.approx(number, rel=1e-6) for number in makers[pooling] for _ in range(WIDTH)]
    assert found[0]["vectors"][0]["vector"] == expected


def test_an_empty_partition_is_closed_too() -> None:
    rows = packed([], packing())
    assert len(rows) == 1
    assert rows[0].schema == packed(TEXTS, packing())[0].schema
    assert unpacked(run_model(rows), unpacking()) == []


ROWS = run_model(packed(TEXTS, packing()))
VECTORS_TYPE = pa.list_(pa.list_(pa.float32()))
INTS = pa.list_(pa.int32())
LAST_OF_CHUNK = next(i for i, row in enumerate(ROWS) if row.column(NOTES).null_count == 0 and i > 0)


def altered(row: pa.RecordBatch, **columns: Any) -> pa.RecordBatch:
    data = {name: columns.get(name, row.column(name)) for name in row.schema.names}
    return pa.RecordBatch.from_pydict(data, schema=row.schema)


def with_numbers(row: pa.RecordBatch, *, extra: int) -> pa.RecordBatch:
    """As many numbers more, or fewer."""
    numbers = [*row.column("vectors").to_pylist()[0][0], *[0.0] * extra]
    return altered(row, vectors=pa.array([[numbers[: len(numbers) + min(extra, 0)]]], VECTORS_TYPE))


def with_id(row: pa.RecordBatch, **fields: int) -> pa.RecordBatch:
    return altered(row, **{BATCH: pa.array([row.column(BATCH).to_pylist()[0] | fields], row.schema.field(BATCH).type)})


@pytest.mark.parametrize(
    ("what", "rows"),
    [
        ("first missing", ROWS[1:]),
        ("one missing", ROWS[:1] + ROWS[2:]),
        ("last of a chunk missing", ROWS[:LAST_OF_CHUNK] + ROWS[LAST_OF_CHUNK + 1 :]),
        ("a chunk missing", [row for row in ROWS if row.column(BATCH).to_pylist()[0]["chunk"] != 1]),
        ("last chunk missing", [row for row in ROWS[:-1] if row.column(BATCH).to_pylist()[0]["chunk"] < 2] + ROWS[-1:]),
        ("end missing", ROWS[:-1]),
        ("all missing", []),
        ("doubled", ROWS[:2] + ROWS[1:]),
        ("last of a chunk doubled", ROWS[: LAST_OF_CHUNK + 1] + ROWS[LAST_OF_CHUNK:]),
        ("end doubled", [*ROWS, ROWS[-1]]),
        ("displaced", [ROWS[1], ROWS[0], *ROWS[2:]]),
        ("behind the end", [*ROWS[:-2], ROWS[-1], ROWS[-2]]),
        ("of another partition", [*ROWS[:1], with_id(ROWS[1], partition=7), *ROWS[2:]]),
        ("of another chunk", [*ROWS[:1], with_id(ROWS[1], chunk=2), *ROWS[2:]]),
        ("of a longer chunk", [*ROWS[:1], with_id(ROWS[1], count=99), *ROWS[2:]]),
        ("cut short", [altered(ROWS[0], vectors=pa.array([[[1.0, 1.0]]], VECTORS_TYPE)), *ROWS[1:]]),
        ("a number too many", [with_numbers(ROWS[0], extra=1), *ROWS[1:]]),
        ("a part's numbers too many", [with_numbers(ROWS[0], extra=WIDTH), *ROWS[1:]]),
        ("a part's numbers too few", [with_numbers(ROWS[0], extra=-WIDTH), *ROWS[1:]]),
        ("last of the last chunk missing", ROWS[:-2] + ROWS[-1:]),
        ("without vectors", [altered(ROWS[0], vectors=pa.array([[]], VECTORS_TYPE)), *ROWS[1:]]),
        ("another's vectors", [altered(ROWS[0], begins=pa.array([[5]], INTS)), *ROWS[1:]]),
        ("no annotation", [altered(ROWS[0], begins=pa.array([[]], INTS)), *ROWS[1:]]),
        ("two annotations", [altered(ROWS[0], begins=pa.array([[0, 0]], INTS)), *ROWS[1:]]),
        ("parts cut short", [altered(ROWS[0], parts=pa.array([[]], ROWS[0].schema.field(PARTS).type)), *ROWS[1:]]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_did_not_come_back_as_it_was_sent_is_an_error(what: str, rows: list[pa.RecordBatch]) -> None:
    with pytest.raises(
        IncompleteError, match=r"Run again. If that fails too, check the model with `sparkclin models check`"
    ) as raised:
        unpacked(rows, unpacking())
    assert "fever" not in str(raised.value), what


def test_another_partition_is_an_error() -> None:
    with pytest.raises(
        IncompleteError, match="of partition 0 came, where chunk 0 or the end of partition 3 was expected"
    ):
        unpacked(ROWS, unpacking(), partition=3)


def test_parts_of_another_note_are_counted() -> None:
    """A part whose note was altered on the way: the counts of parts per note do not fit any more."""
    [parts] = ROWS[0].column(PARTS).to_pylist()
    moved = [part | {"note": part["note"] ^ 1} if index == 0 else part for index, part in enumerate(parts)]
    row = altered(ROWS[0], parts=pa.array([moved], ROWS[0].schema.field(PARTS).type))
    with pytest.raises(IncompleteError, match="segment parts"):
        unpacked([row, *ROWS[1:]], unpacking())


def test_parts_of_a_note_that_is_not_in_the_chunk_are_counted() -> None:
    """A part more, with its numbers: every note of the chunk has its own all the same."""
    [parts] = ROWS[0].column(PARTS).to_pylist()
    more = [*parts, {"note": 99, "segment": 0, "size": 1}]
    row = altered(with_numbers(ROWS[0], extra=WIDTH), parts=pa.array([more], ROWS[0].schema.field(PARTS).type))
    with pytest.raises(IncompleteError, match="segment parts"):
        unpacked([row, *ROWS[1:]], unpacking())


FOREIGN = run_model(packed(TEXTS, packing(), partition=1))
"""The same packed batches, as those of another partition."""


@cache
def exact() -> Rows:
    """What undisturbed rows give."""
    return unpacked(ROWS, unpacking())


@st.composite
def disturbed_rows(draw: st.DrawFn) -> list[pa.RecordBatch]:
    """ROWS after one to three disturbances: rows dropped, doubled, swapped, cut off or altered."""
    rows = list(ROWS)
    for kind in draw(st.lists(st.sampled_from(["drop", "double", "swap", "cut", "alter"]), min_size=1, max_size=3)):
        if not rows:
            break
        index, other = (draw(st.integers(0, len(rows) - 1)) for _ in range(2))
        if kind == "drop":
            del rows[index]
        elif kind == "double":
            rows.insert(other, rows[index])
        elif kind == "swap":
            rows[index], rows[other] = rows[other], rows[index]
        elif kind == "cut":
            del rows[index:]
        else:
            rows[index] = draw(altered_rows(rows[index]))
    return rows


@st.composite
def altered_rows(draw: st.DrawFn, row: pa.RecordBatch) -> pa.RecordBatch:
    """A row of another partition or chunk; with more or fewer numbers; with other annotations."""
    if not len(row.column(PARTS).flatten()):
        return draw(st.sampled_from(FOREIGN))
    return draw(
        st.one_of(
            st.sampled_from(FOREIGN),
            st.integers(0, 4).map(lambda chunk: with_id(row, chunk=chunk)),
            st.integers(-4, 4).map(lambda extra: with_numbers(row, extra=extra)),
            st.sampled_from([[], [0], [1], [0, 1]]).map(lambda begins: altered(row, begins=pa.array([begins], INTS))),
        )
    )


@given(disturbed_rows())
def test_whatever_happens_on_the_way_the_result_is_exact_or_an_error(rows: list[pa.RecordBatch]) -> None:
    try:
        found = unpacked(rows, unpacking())
    except IncompleteError:
        assert rows != ROWS
    else:
        assert found == exact()


def test_every_packed_batch_says_what_is_wanted() -> None:
    rows = packed(TEXTS, replace(packing(), request=2))
    texts = [document["result"] for row in rows for document in row.column(DOCUMENT).to_pylist()[0]]
    assert len(texts) > 2
    assert {codes.decode(text.split()[0]) for text in texts} == {VOCABULARY.first_request + 2}
