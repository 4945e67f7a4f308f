"""What is compared on notes, and when it is not good enough."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from sparkclin.errors import InputError
from sparkclin.evaluation.notes import Note, packaged_notes
from sparkclin.evaluation.retrieval import SpecialtyAccuracy
from sparkclin.export.engines import Ids, Vectors
from sparkclin.export.families.family import Reference
from sparkclin.export.graph.encoder import EncoderConfig
from sparkclin.export.trained import TrainedModel
from sparkclin.export.verify.quantization import (
    LIMITS,
    QUESTION_PIECES,
    Agreement,
    QuantizationReport,
    SpecialtyChange,
    Sums,
    cosines,
    measure,
    note_batches,
    specialty_change,
    to_rows,
)
from sparkclin.text.pieces import PieceEncoder
from testkit.checkpoints import TEXTS, random_checkpoint

SHORT = [Note(note_id=str(index), text=text) for index, text in enumerate(TEXTS)]
LONG = Note(note_id="long", text=" ".join(TEXTS) * 20)


@dataclass(frozen=True)
class Disturbed:
    """A graph that answers with the reference's vectors, of which `share` of the pieces have lost their sign."""

    reference: Reference
    share: float

    def run(self, ids: Ids, mask: Ids) -> Vectors:
        return self.states(ids, mask)

    def states(self, ids: Ids, mask: Ids) -> Vectors:
        vectors = self.reference(ids, mask)
        wrong = np.random.default_rng(0).random(ids.shape) < self.share
        return np.where(wrong[..., None], -vectors, vectors)


@dataclass(frozen=True)
class Original:
    reference: Reference
    config: EncoderConfig
    tokenizer_json: str

    def measure(self, notes: list[Note], *, share: float = 0.0) -> QuantizationReport:
        return measure(
            notes,
            graph=Disturbed(self.reference, share),
            reference=self.reference,
            config=self.config,
            tokenizer_json=self.tokenizer_json,
            precision="int8",
        )


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    trained = TrainedModel.read(str(random_checkpoint(tmp_path_factory.mktemp("checkpoint"))))
    return Original(trained.reference(), trained.config, trained.tokenizer_json)


def test_every_piece_of_every_note_is_compared(original: Original) -> None:
    notes = [*SHORT, LONG]
    sizes = [len(pieces) for pieces in PieceEncoder(original.tokenizer_json).encode([note.text for note in notes])]
    assert sizes[-1] > 2 * original.config.max_pieces
    report = original.measure(notes)
    assert report.notes == report.documents.vectors == len(notes)
    assert report.pieces.vectors == sum(sizes)
    assert report.passed
    assert report.pieces.worst_cosine == pytest.approx(1)


def test_a_few_wrong_pieces_are_enough_to_fail(original: Original) -> None:
    report = original.measure([*SHORT, LONG], share=0.01)
    assert report.pieces.worst_cosine == pytest.approx(-1)
    assert not report.passed
    assert "FAILED" in report.to_text()


def test_documents_of_the_graph_are_compared_with_those_of_the_reference(original: Original) -> None:
    report = original.measure([*SHORT, LONG], share=1.0)
    for found in (report.documents, report.pieces):
        assert found.mean_cosine == pytest.approx(-1)
        assert found.worst_cosine == pytest.approx(-1)


def test_a_document_is_the_mean_of_all_pieces_of_its_own_note(original: Original) -> None:
    """Only the sign of the special pieces is lost, which are no part of a note: nothing is different then."""

    @dataclass(frozen=True)
    class Ends:
        def states(self, ids: Ids, mask: Ids) -> Vectors:
            vectors = original.reference(ids, mask)
            special = np.isin(ids, [original.config.cls_id, original.config.sep_id, original.config.pad_id])
            return np.where(special[..., None], -vectors, vectors)

    report = measure(
        [*SHORT, LONG],
        graph=Ends(),
        reference=original.reference,
        config=original.config,
        tokenizer_json=original.tokenizer_json,
        precision="int8",
    )
    assert report.documents.worst_cosine == report.pieces.worst_cosine == pytest.approx(1)


def test_notes_without_specialties_leave_that_part_out(original: Original) -> None:
    report = original.measure(SHORT)
    assert report.specialty is None
    assert report.to_dict()["specialty"] is None


def test_specialties_are_compared_of_the_notes_that_have_them(original: Original) -> None:
    """The reference tells apart what a note begins with, which is its specialty; the graph what it ends with."""

    @dataclass(frozen=True)
    class Graph:
        def states(self, ids: Ids, mask: Ids) -> Vectors:
            last = np.take_along_axis(ids, mask.sum(axis=1, keepdims=True) - 2, axis=1)
            return told_apart(ids, last)

    def reference(ids: Ids, _mask: Ids) -> Vectors:
        return told_apart(ids, ids[:, 1:2])

    def told_apart(ids: Ids, chosen: Ids) -> Vectors:
        return np.repeat(np.eye(original.config.vocab_size, original.config.width)[chosen % 32], ids.shape[1], axis=1)

    encoder = PieceEncoder(original.tokenizer_json)
    words = {int(pieces.ids[0]) % 32: word for word, pieces in zip("abcde", encoder.encode(list("abcde")), strict=True)}
    begins, ends = list(words.values())[:3], list(words.values())[3:]
    assert len(ends) == 2
    notes = [
        Note(note_id=f"{begin}{end}", text=f"{begin}{end}", specialties=(begin,)) for begin in begins for end in ends
    ]
    change = measure(
        [LONG, *notes],
        graph=Graph(),
        reference=reference,
        config=original.config,
        tokenizer_json=original.tokenizer_json,
        precision="int8",
    ).specialty
    assert change is not None
    assert (change.fp32.notes, change.fp32.nearest, change.exported.nearest) == (len(notes), 1.0, 0.0)
    assert change.to_dict()["difference"]["nearest"] == -1.0


def test_notes_without_text_are_no_notes(original: Original) -> None:
    with pytest.raises(InputError, match="no note to compare"):
        original.measure([Note(note_id="1", text="")])
    assert original.measure([Note(note_id="1", text=""), *SHORT]).notes == len(SHORT)


def test_the_packaged_notes_have_specialties() -> None:
    notes = packaged_notes()
    assert len(notes) == 60
    assert all(note.specialties for note in notes)


@pytest.mark.parametrize(
    ("mean", "worst", "passed"),
    [(0.999, 0.995, True), (0.99899, 0.995, False), (0.999, 0.99499, False), (0.99899, 0.99499, False)],
)
def test_int8_has_limits_for_the_mean_and_the_worst(mean: float, worst: float, *, passed: bool) -> None:
    found = Agreement(vectors=9, mean_cosine=mean, worst_cosine=worst)
    assert LIMITS["int8"].documents.met_by(found) is LIMITS["int8"].pieces.met_by(found) is passed


@pytest.mark.parametrize(
    ("documents", "pieces", "passed"), [(0.9999, 0.999, True), (0.99989, 1, False), (1, 0.998, False)]
)
def test_bf16_is_held_to_more(documents: float, pieces: float, *, passed: bool) -> None:
    of_documents, of_pieces = (Agreement(vectors=9, mean_cosine=1.0, worst_cosine=c) for c in (documents, pieces))
    limits = LIMITS["bf16"]
    report = QuantizationReport(notes=3, documents=of_documents, pieces=of_pieces, specialty=None, limits=limits)
    assert report.passed is passed


@pytest.mark.parametrize(("documents", "pieces"), [(1.0, 0.5), (0.5, 1.0), (0.5, 0.5), (1.0, 1.0)])
def test_documents_and_pieces_must_pass_both(documents: float, pieces: float) -> None:
    of_documents, of_pieces = (Agreement(vectors=9, mean_cosine=c, worst_cosine=c) for c in (documents, pieces))
    limits = LIMITS["int8"]
    report = QuantizationReport(notes=3, documents=of_documents, pieces=of_pieces, specialty=None, limits=limits)
    assert report.passed is (documents == pieces == 1.0)


SIX = [Note(note_id=str(index), text="x", specialties=("ab"[index // 3],)) for index in range(6)]
ALIKE = np.eye(2)[[0, 0, 0, 1, 1, 1]]
"""A vector per note of SIX: an axis per specialty."""
MIXED = np.eye(2)[[0, 1, 0, 1, 0, 1]]


def test_the_change_of_specialties_is_from_fp32_to_exported() -> None:
    change = specialty_change(SIX, Sums(fp32=ALIKE, exported=MIXED))
    assert change is not None
    assert change.fp32.nearest == 1.0
    assert change.exported.nearest == pytest.approx(2 / 6)
    assert change.to_dict()["difference"]["nearest"] == pytest.approx(2 / 6 - 1)
    assert change.to_dict()["fp32"]["nearest"] == 1.0
    better = specialty_change(SIX, Sums(fp32=MIXED, exported=ALIKE))
    assert better is not None
    assert better.to_dict()["difference"]["nearest"] == pytest.approx(1 - 2 / 6)


def test_six_notes_with_specialties_are_enough_and_their_own_vectors_are_compared() -> None:
    without = [Note(note_id="none", text="x"), *SIX]
    vectors = np.concatenate([[[5.0, 5.0]], ALIKE])
    change = specialty_change(without, Sums(fp32=vectors, exported=vectors))
    assert change is not None
    assert (change.fp32.notes, change.fp32.nearest, change.exported.nearest) == (6, 1.0, 1.0)
    assert specialty_change(without[:-1], Sums(fp32=vectors[:-1], exported=vectors[:-1])) is None


def test_the_change_has_both_measures_with_their_sign() -> None:
    fp32, exported = (
        SpecialtyAccuracy(notes=9, specialties=2, nearest=a, five_nearest=b, chance=0.5, most_frequent=0.5)
        for a, b in ((0.5, 0.25), (0.75, 0.125))
    )
    change = SpecialtyChange(fp32=fp32, exported=exported)
    assert change.to_dict()["difference"] == {"nearest": 0.25, "five_nearest": -0.125}
    assert change.to_text() == (
        "specialty accuracy of 9 notes, fp32 and exported: nearest 0.500 and 0.750, five nearest 0.250 and 0.125"
    )


def test_cosines_are_those_of_rows() -> None:
    found = cosines(np.array([[3.0, 4.0], [1.0, 0.0], [2.0, 0.0]]), np.array([[4.0, 3.0], [0.0, 5.0], [-7.0, 0.0]]))
    np.testing.assert_allclose(found, [24 / 25, 0, -1])
    agreement = Agreement.of(found)
    assert (agreement.vectors, agreement.worst_cosine) == (3, -1.0)
    assert agreement.mean_cosine == pytest.approx(-0.04 / 3)


def test_a_report_says_the_figures_and_the_limits_they_are_held_to() -> None:
    good, bad = (Agreement(vectors=9, mean_cosine=c, worst_cosine=c) for c in (1.0, 0.5))
    report = QuantizationReport(notes=3, documents=good, pieces=bad, specialty=None, limits=LIMITS["bf16"])
    assert report.to_text().splitlines() == [
        "3 notes against fp32 (cosines of documents: mean ≥ 0.9999, worst ≥ 0.9999; pieces: mean ≥ 0.999, "
        "worst ≥ 0.999):",
        "vectors                 count        mean         worst",
        "documents                   9    1.000000      1.000000",
        "pieces                      9    0.500000      0.500000  FAILED",
    ]
    assert report.to_dict() == {
        "notes": 3,
        "documents": {"vectors": 9, "mean_cosine": 1.0, "worst_cosine": 1.0},
        "pieces": {"vectors": 9, "mean_cosine": 0.5, "worst_cosine": 0.5},
        "limits": {"documents": {"mean": 0.9999, "worst": 0.9999}, "pieces": {"mean": 0.999, "worst": 0.999}},
        "specialty": None,
    }


def rows_of(original: Original, notes: list[Note], *, separators: tuple[int, ...] = ()) -> list[tuple[int, list[int]]]:
    """The index of the note and the ids of each row."""
    found = to_rows(notes, tokenizer_json=original.tokenizer_json, config=original.config, separators=separators)
    return [(row.note, row.ids.tolist()) for row in found]


def test_rows_are_windows_that_do_not_overlap(original: Original) -> None:
    config = original.config
    [pieces] = PieceEncoder(original.tokenizer_json).encode([LONG.text])
    found = [ids for note, ids in rows_of(original, [SHORT[0], LONG]) if note == 1]
    assert [(ids[0], ids[-1]) for ids in found] == [(config.cls_id, config.sep_id)] * len(found)
    assert [piece for ids in found for piece in ids[1:-1]] == pieces.ids.tolist()
    assert [len(ids) for ids in found[:-1]] == [config.max_row] * (len(found) - 1)
    assert len(found[-1]) <= config.max_row


def test_a_window_stands_behind_its_notes_first_pieces_and_the_separators(original: Original) -> None:
    config, separators = original.config, (7, 8)
    [pieces] = PieceEncoder(original.tokenizer_json).encode([LONG.text])
    question = [config.cls_id, *pieces.ids[:QUESTION_PIECES].tolist(), *separators]
    found = [ids for _, ids in rows_of(original, [LONG], separators=separators)]
    assert all(ids[: len(question)] == question for ids in found)
    assert [piece for ids in found for piece in ids[len(question) : -1]] == pieces.ids.tolist()
    assert [len(ids) for ids in found[:-1]] == [config.max_row] * (len(found) - 1)


def n_rows(original: Original, notes: list[Note], *, most_pieces: int | None) -> int:
    batches = note_batches(
        notes,
        tokenizer_json=original.tokenizer_json,
        config=original.config,
        separators=(),
        most_pieces=most_pieces,
    )
    return sum(len(batch.rows) for batch in batches)


def test_windows_are_read_until_there_are_enough_pieces(original: Original) -> None:
    first, second, third = (len(ids) for _, ids in rows_of(original, SHORT))
    for most_pieces, expected in (
        (1, 1),
        (first, 1),
        (first + 1, 2),
        (first + second, 2),
        (first + second + 1, 3),
        (first + second + third, 3),
        (None, 3),
    ):
        assert n_rows(original, SHORT, most_pieces=most_pieces) == expected


def test_rows_of_a_batch_are_padded_and_masked(original: Original) -> None:
    notes = [SHORT[0], Note(note_id="longer", text=f"{TEXTS[0]} today")]
    [batch] = note_batches(notes, tokenizer_json=original.tokenizer_json, config=original.config, separators=())
    longer, shorter = batch.sizes
    assert longer > shorter
    assert [row.note for row in batch.rows] == [1, 0]
    for row, ids, mask, size in zip(batch.rows, batch.ids, batch.mask, batch.sizes, strict=True):
        assert ids[:size].tolist() == row.ids.tolist()
        assert set(ids[size:].tolist()) <= {original.config.pad_id}
        assert mask.tolist() == [1] * size + [0] * (len(mask) - size)
