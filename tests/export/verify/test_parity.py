"""What an export is held to: every limit just inside and just outside, without a model and without Spark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import LongformerForTokenClassification

from sparkclin.evaluation.notes import Note
from sparkclin.export.candidate import Candidate
from sparkclin.export.engines import Ids, Vectors
from sparkclin.export.errors import ParityError
from sparkclin.export.graph.encoder import Linear
from sparkclin.export.heads.token_classification import TokenClassificationHead
from sparkclin.export.routes.route import ORDINARY_IDS, PathOutput, real
from sparkclin.export.routes.spark_nlp import CODES, PACKED, SPARK_NLP
from sparkclin.export.trained import TrainedModel
from sparkclin.export.verify.expected import Expected
from sparkclin.export.verify.parity import (
    EXACT,
    HEAD,
    ROUNDING,
    Limits,
    ParityReport,
    PathFigures,
    VectorFigure,
    VectorTable,
    figure,
    table_against_reference,
    table_of_head,
    table_of_packed,
    table_of_paths,
    verify,
)
from sparkclin.export.verify.quantization import LIMITS, Agreement, QuantizationReport
from sparkclin.export.verify.samples import Batch
from sparkclin.wire.outputs import Outputs
from testkit.checkpoints import TEXTS, random_checkpoint

PERFECT = VectorFigure(path="any", length=8, max_abs_difference=0.0, min_cosine=1.0)
AWFUL = VectorFigure(path="any", length=8, max_abs_difference=9.0, min_cosine=-1.0)


def vectors(difference: float, cosine: float) -> VectorFigure:
    return replace(PERFECT, max_abs_difference=difference, min_cosine=cosine)


def compared(path: str, *, reference: VectorFigure = PERFECT, graph: VectorFigure = PERFECT) -> PathFigures:
    by_head = path.startswith(PACKED)
    return PathFigures(path=path, by_head=by_head, against_reference=reference, against_graph=graph)


@pytest.mark.parametrize(
    ("found", "passed"),
    [
        (vectors(1e-4, 0.999999), True),
        (vectors(1.01e-4, 0.999999), False),
        (vectors(1e-4, 0.9999989), False),
        (vectors(float("nan"), 1.0), False),
        (vectors(0.0, float("nan")), False),
    ],
)
def test_exact_vectors_keep_to_the_reference(found: VectorFigure, *, passed: bool) -> None:
    figures = [compared(ORDINARY_IDS), compared(PACKED, reference=found, graph=AWFUL)]
    assert table_against_reference(figures, limits=EXACT).passed is passed


def test_int8_is_not_held_to_the_reference() -> None:
    assert table_against_reference([compared(CODES, reference=AWFUL)], limits=None).passed


@pytest.mark.parametrize("path", [PACKED, f"{PACKED}, mean"])
@pytest.mark.parametrize(
    ("found", "passed"),
    [
        (vectors(1e-5, 0.999999), True),
        (vectors(1.01e-5, 0.999999), False),
        (vectors(1e-5, 0.9999989), False),
    ],
)
def test_the_heads_outputs_keep_to_the_graphs_own_vectors(path: str, found: VectorFigure, *, passed: bool) -> None:
    figures = [compared(CODES, graph=AWFUL), compared(PACKED), compared(path, reference=AWFUL, graph=found)]
    assert table_of_packed(figures).passed is passed


@pytest.mark.parametrize("path", [CODES, SPARK_NLP])
@pytest.mark.parametrize(("found", "passed"), [(vectors(9.0, 0.99), True), (vectors(0.0, 0.98999), False)])
def test_int8_by_codes_keeps_to_ordinary_ids(path: str, found: VectorFigure, *, passed: bool) -> None:
    figures = [compared(CODES), compared(SPARK_NLP), compared(path, reference=AWFUL, graph=found)]
    assert table_of_paths([*figures, compared(PACKED, graph=AWFUL)]).passed is passed


@pytest.mark.parametrize("make", [partial(table_against_reference, limits=EXACT), table_of_packed, table_of_paths])
def test_a_table_without_figures_has_not_passed(make: Callable[[Sequence[PathFigures]], VectorTable]) -> None:
    assert not make([]).passed


GOOD = VectorTable(against="it", limits=EXACT, figures=(PERFECT,))
BAD = VectorTable(against="it", limits=EXACT, figures=(PERFECT, AWFUL))
NEAR, FAR = (Agreement(vectors=9, mean_cosine=cosine, worst_cosine=cosine) for cosine in (1.0, 0.5))
INT8 = QuantizationReport(notes=3, documents=NEAR, pieces=NEAR, specialty=None, limits=LIMITS["int8"])
REPORT = ParityReport(
    id_rows=18, id_rows_identical=18, vectors=GOOD, packed=GOOD, head=GOOD, paths=GOOD, quantization=INT8
)


@pytest.mark.parametrize(
    ("change", "passed"),
    [
        ({}, True),
        ({"head": None, "paths": None, "quantization": None}, True),
        ({"id_rows_identical": 17}, False),
        ({"id_rows": 0, "id_rows_identical": 0}, False),
        ({"vectors": BAD}, False),
        ({"packed": BAD}, False),
        ({"head": BAD}, False),
        ({"paths": BAD}, False),
        ({"quantization": replace(INT8, pieces=FAR)}, False),
    ],
)
def test_a_report_has_passed_if_all_of_it_has(change: dict[str, Any], *, passed: bool) -> None:
    report = replace(REPORT, **change)
    assert report.passed is passed


def test_a_table_shows_which_figure_failed() -> None:
    lines = BAD.to_text().splitlines()
    assert [line.endswith("FAILED") for line in lines[-2:]] == [False, True]
    assert "max |Δ| ≤ 0.0001, cosine ≥ 0.999999" in lines[0]


def test_a_figure_is_the_worst_of_all_vectors() -> None:
    """Of two rows; of the second row only two of three vectors came back."""
    theirs = np.array([[[3.0, 4.0]] * 3, [[1.0, 0.0]] * 3], np.float32)
    ours = [theirs[0].copy(), theirs[1, :2].copy()]
    ours[0][1] = [3.0, 4.5]
    ours[1][1] = [0.6, 0.8]
    compared = PathOutput(
        path=CODES,
        compare=lambda vectors: iter((a, b[: len(a)]) for a, b in zip(ours, vectors, strict=True)),
    )
    found = figure(compared, 3, theirs)
    assert (found.path, found.length) == (CODES, 3)
    assert found.max_abs_difference == pytest.approx(0.8)
    assert found.min_cosine == pytest.approx(0.6)


def test_limits_and_tables_say_what_they_are() -> None:
    assert [limits.to_text() for limits in (EXACT, HEAD, ROUNDING)] == [
        "max |Δ| ≤ 0.0001, cosine ≥ 0.999999",
        "max |Δ| ≤ 1e-05, cosine ≥ 0.999999",
        "cosine ≥ 0.99",
    ]
    assert replace(BAD, limits=None).to_text().splitlines() == [
        "against it (not held to limits):",
        "path                   length     max |Δ|    min cosine",
        "any                         8    0.00e+00   1.000000000",
        "any                         8    9.00e+00  -1.000000000",
    ]
    assert replace(BAD, limits=None).to_dict()["limits"] is None


def test_a_report_has_all_its_parts() -> None:
    figures = [{"path": "any", "length": 8, "max_abs_difference": 0.0, "min_cosine": 1.0}]
    part = {"vectors": figures, "limits": {"max_abs_difference": 1e-4, "min_cosine": 0.999999}}
    assert REPORT.to_dict() == {
        "id_rows": 18,
        "id_rows_identical": 18,
        **part,
        "packed": part,
        "head": part,
        "paths": part,
        "precision": INT8.to_dict(),
    }
    alone = replace(REPORT, head=None, paths=None, quantization=None)
    assert alone.to_dict().keys() == {"id_rows", "id_rows_identical", "vectors", "limits", "packed"}
    assert REPORT.to_text().splitlines()[0] == "ids identical to the Hugging Face tokenizer's: 18 of 18 texts"
    assert REPORT.to_text().count("against it") == 4
    assert "3 notes against fp32" in REPORT.to_text()
    assert alone.to_text().count("against it") == 2


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    return TrainedModel.read(str(random_checkpoint(tmp_path_factory.mktemp("checkpoint"), positions=40)))


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    folder, labels = tmp_path_factory.mktemp("tagger"), {0: "O", 1: "B-DRUG", 2: "I-DRUG"}
    model_class = LongformerForTokenClassification
    return TrainedModel.read(str(random_checkpoint(folder, positions=40, model_class=model_class, id2label=labels)))


@dataclass(frozen=True)
class Answering:
    """A route that answers with the reference's vectors. What is wrong with it is what its fields say."""

    expected: Expected
    wrong_ids: int = 0
    of_states: float = 1.0
    of_codes: float = 1.0
    of_head: float = 1.0
    returns_vectors: bool = True

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        assert list(texts) == self.expected.texts
        return [[*ids, 7] if index < self.wrong_ids else ids for index, ids in enumerate(self.expected.ids)]

    def open(self) -> Answering:
        return self

    def states(self, ids: Ids, mask: Ids) -> Vectors:
        vectors = self.expected.reference(ids, mask).copy()
        vectors[..., 0] *= self.of_states
        return vectors

    def outputs(self, batch: Batch) -> Iterator[PathOutput]:
        codes = self.states(batch.ids, batch.mask)
        codes[..., 0] *= self.of_codes
        yield PathOutput(path=CODES, compare=real(batch, codes))
        if batch.length > 1:
            yield self.pooled(batch, PACKED)

    def outputs_alone(self, batch: Batch) -> Iterator[PathOutput]:
        yield self.pooled(batch, f"{PACKED}, mean")

    def pooled(self, batch: Batch, path: str) -> PathOutput:
        """The first number of each row's mean, as the head makes it of the graph's own vectors."""
        own = [row.mean(axis=0, keepdims=True) for row in batch.real(self.states(batch.ids, batch.mask))]
        for row in own:
            row[:, 0] *= self.of_head
        return PathOutput(
            path=path,
            by_head=True,
            compare=lambda vectors: zip(
                own, [row.mean(axis=0, keepdims=True) for row in batch.real(vectors)], strict=True
            ),
        )


NOTES = [Note(note_id=str(index), text=text) for index, text in enumerate(TEXTS)]


def verified(trained: TrainedModel, *, precision: str = "fp32", **wrong: Any) -> ParityReport:
    expected = Expected(trained=trained, notes=NOTES)
    candidate = Candidate(
        folder=Path("nowhere"),
        precision=precision,
        trained=trained,
        tokenizer_json=trained.tokenizer_json,
        outputs=Outputs(all=trained.head.outputs),
    )
    return verify(candidate, Answering(expected, **wrong), expected)  # type: ignore[arg-type]


def test_an_exact_model_is_compared_by_all_paths_at_all_lengths(trained: TrainedModel) -> None:
    """Rows of 1, 2 and 38 ids. Which outputs are chosen is compared once, at the first length that has them."""
    report = verified(trained)
    assert [(figure.length, figure.path) for figure in report.vectors.figures] == [
        (1, ORDINARY_IDS),
        (1, CODES),
        (2, ORDINARY_IDS),
        (2, CODES),
        (2, PACKED),
        (2, f"{PACKED}, mean"),
        (38, ORDINARY_IDS),
        (38, CODES),
        (38, PACKED),
    ]
    assert [figure.path for figure in report.packed.figures] == [PACKED, f"{PACKED}, mean", PACKED]
    assert (report.vectors.limits, report.packed.limits) == (EXACT, HEAD)
    assert (report.head, report.paths, report.quantization) == (None, None, None)
    assert report.id_rows == report.id_rows_identical > 10


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"wrong_ids": 1}, r"differs from .*nothing was registered\.\nids identical .*: (\d+) of (?!\1)\d+ texts"),
        ({"of_states": 1.01}, "graph, ordinary ids .*FAILED"),
        ({"of_codes": 1.01}, "FAILED"),
        ({"of_head": 1.001}, "FAILED"),
    ],
)
def test_an_exact_model_that_differs_anywhere_is_refused(
    trained: TrainedModel, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParityError, match=message):
        verified(trained, **wrong)


def test_int8_is_held_to_its_own_vectors_and_to_notes(trained: TrainedModel) -> None:
    report = verified(trained, precision="int8", of_states=1.01)
    assert report.vectors.limits is None
    assert report.paths is not None
    assert {figure.path for figure in report.paths.figures} == {CODES}
    assert (report.paths.limits, len(report.paths.figures)) == (ROUNDING, 3)
    assert report.quantization is not None
    assert report.quantization.notes == len(NOTES)
    assert 0.999 < report.quantization.pieces.worst_cosine < 1
    assert verified(trained, precision="int8", returns_vectors=False).paths is None


@pytest.mark.parametrize("wrong", [{"of_states": -5.0}, {"of_codes": -5.0}, {"of_head": 1.001}])
def test_int8_that_is_too_far_away_is_refused(trained: TrainedModel, wrong: dict[str, float]) -> None:
    with pytest.raises(ParityError, match="FAILED"):
        verified(trained, precision="int8", **wrong)


def with_classifier(trained: TrainedModel, *, sign: int = 1, shift: float = 0.0) -> TrainedModel:
    """The model with another last layer than transformers reads."""
    head = trained.head
    assert isinstance(head, TokenClassificationHead)
    bias = head.classifier.bias + np.array([shift, 0, 0], np.float32)
    classifier = Linear(weight=sign * head.classifier.weight, bias=sign * bias)
    return replace(trained, head=replace(head, classifier=classifier))


def test_a_head_is_compared_with_transformers_at_all_lengths(tagger: TrainedModel) -> None:
    table = table_of_head(Expected(trained=tagger))
    assert [(figure.path, figure.length) for figure in table.figures] == [("head", length) for length in (1, 2, 38)]
    assert (table.passed, table.limits) == (True, EXACT)
    report = verified(tagger)
    assert report.head == table


@pytest.mark.parametrize(("shift", "passed"), [(5e-5, True), (3e-4, False)])
def test_logits_that_differ_are_told_as_they_are(tagger: TrainedModel, shift: float, *, passed: bool) -> None:
    table = table_of_head(Expected(trained=with_classifier(tagger, shift=shift)))
    assert table.passed is passed
    for figure_of_length in table.figures:
        assert figure_of_length.max_abs_difference == pytest.approx(shift, abs=2e-5)
        assert figure_of_length.min_cosine < 1


def test_another_label_is_a_difference_without_limit(tagger: TrainedModel) -> None:
    table = table_of_head(Expected(trained=with_classifier(tagger, sign=-1)))
    assert [figure.max_abs_difference for figure in table.figures] == [float("inf")] * 3


def test_a_vector_may_be_at_the_very_limit() -> None:
    limits = Limits(max_abs_difference=0.5, min_cosine=0.5)
    assert vectors(0.5, 0.5).keeps(limits)
    assert vectors(9.0, -1.0).keeps(None)
    assert vectors(9.0, 0.5).keeps(replace(limits, max_abs_difference=None))
    assert not vectors(0.0, 0.4).keeps(replace(limits, max_abs_difference=None))
