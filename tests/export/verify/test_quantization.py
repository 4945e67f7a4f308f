"""What is compared on notes, and when it is not good enough."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from sparkclin.errors import InputError
from sparkclin.evaluation.notes import Note, packaged_notes
from sparkclin.export.engines import Ids, Vectors
from sparkclin.export.families.family import Reference
from sparkclin.export.graph.encoder import EncoderConfig
from sparkclin.export.trained import TrainedModel
from sparkclin.export.verify.quantization import LIMITS, Agreement, QuantizationReport, measure
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


def test_notes_without_specialties_leave_that_part_out(original: Original) -> None:
    report = original.measure(SHORT)
    assert report.specialty is None
    assert report.to_dict()["specialty"] is None


def test_specialties_are_compared_of_the_notes_that_have_them(original: Original) -> None:
    notes = [Note(note_id=f"{n.note_id} {turn}", text=n.text, specialties=("a",)) for n in SHORT for turn in (0, 1)]
    change = original.measure([*notes, LONG]).specialty
    assert change is not None
    assert change.fp32.notes == len(notes)
    assert change.to_dict()["difference"] == {"nearest": 0.0, "five_nearest": 0.0}


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
