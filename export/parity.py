"""Ids and vectors of an exported model against the reference, before anybody else may use it.

The reference for ids is the checkpoint's own Hugging Face tokenizer, for vectors `transformers` in fp32 with the same
weights.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from export.checkpoint import Checkpoint
from export.errors import ParityError
from export.families import longformer
from export.graph.encoder import EncoderConfig
from export.graph.tensorflow import SavedGraph
from export.sparknlp import load_annotator, run_windows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Ids = npt.NDArray[np.int32]
Vectors = npt.NDArray[np.float32]

# Row lengths in ids, special pieces included: around every place where the graph takes another way, for the window of
# 512 that Clinical-Longformer has.
LENGTHS = (1, 2, 255, 256, 257, 258, 511, 512, 513, 769, 1025, 4096)
MAX_ABS_DIFFERENCE = 1e-4
MIN_COSINE = 0.999999
SEED = 20220304


@dataclass(frozen=True, kw_only=True)
class VectorFigure:
    """A full row of `length` ids batched with a padded one of half of it, on one route; the worst over all vectors."""

    route: str
    length: int
    max_abs_difference: float
    min_cosine: float

    @property
    def verdict(self) -> str:
        return "" if self.passed else "  FAILED"

    @property
    def passed(self) -> bool:
        return self.max_abs_difference <= MAX_ABS_DIFFERENCE and self.min_cosine >= MIN_COSINE


@dataclass(frozen=True, kw_only=True)
class ParityReport:
    """What was compared and how close it was."""

    id_rows: int
    id_rows_identical: int
    vectors: tuple[VectorFigure, ...]

    @property
    def passed(self) -> bool:
        return 0 < self.id_rows == self.id_rows_identical and bool(self.vectors) and all(f.passed for f in self.vectors)

    def to_dict(self) -> dict[str, Any]:
        """For the manifest: the figures with the limits they were held to."""
        limits = {"max_abs_difference": MAX_ABS_DIFFERENCE, "min_cosine": MIN_COSINE}
        return {**asdict(self), "vectors": [asdict(figure) for figure in self.vectors], "limits": limits}

    def to_text(self) -> str:
        """A table for people."""
        lines = [f"ids identical to the Hugging Face tokenizer's: {self.id_rows_identical} of {self.id_rows} texts"]
        lines.append(f"{'route':<22}{'length':>7}{'max |Δ|':>12}{'min cosine':>14}")
        lines += [
            f"{f.route:<22}{f.length:>7}{f.max_abs_difference:>12.2e}{f.min_cosine:>14.9f}{f.verdict}"
            for f in self.vectors
        ]
        return "\n".join(lines)


def verify(
    spark: SparkSession,
    *,
    annotator_folder: Path,
    echo_folder: Path,
    checkpoint: Checkpoint,
    config: EncoderConfig,
    tokenizer_json: str,
) -> ParityReport:
    """Compares a saved annotator with its checkpoint. `echo_folder` is an echo model saved with the same vocabulary.

    Raises ParityError, with the table of figures, where anything is off.
    """
    identical = [
        expected == found
        for expected, found in zip(
            reference_ids(checkpoint, sample_texts()),
            sparknlp_ids(spark, echo_folder, sample_texts(), tokenizer_json=tokenizer_json, config=config),
            strict=True,
        )
    ]
    report = ParityReport(
        id_rows=len(identical),
        id_rows_identical=sum(identical),
        vectors=tuple(compare_vectors(spark, annotator_folder, checkpoint=checkpoint, config=config)),
    )
    if not report.passed:
        raise ParityError(
            f"The exported model differs from {checkpoint.source}; nothing was registered.\n{report.to_text()}\n"
            f"Expected identical ids, max |Δ| ≤ {MAX_ABS_DIFFERENCE:g} and cosine ≥ {MIN_COSINE:g}."
        )
    return report


def sample_texts() -> list[str]:
    """Made-up text with everything that is hard for a tokenizer, and all of it joined to several windows' length."""
    lines = resources.files("export").joinpath("sample_texts.jsonl").read_text(encoding="utf-8").split("\n")
    texts = [json.loads(line) for line in lines if line]
    return [*texts, "\n".join(texts) * 10]


def reference_ids(checkpoint: Checkpoint, texts: Sequence[str]) -> list[list[int]]:
    """The Hugging Face tokenizer's ids, special pieces included; special pieces typed in a text count as text."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder, use_fast=True, trust_remote_code=False)
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.encode_special_tokens = True
    return [encoding.ids for encoding in tokenizer.backend_tokenizer.encode_batch(list(texts))]


def sparknlp_ids(
    spark: SparkSession, echo_folder: Path, texts: Sequence[str], *, tokenizer_json: str, config: EncoderConfig
) -> list[list[int]]:
    """The ids that reach the model by NoteTokenizer and Spark NLP, windows joined, special pieces put back."""
    from pyspark.ml import PipelineModel
    from pyspark.sql import functions as F

    from sparkclin.tokenizer import NoteTokenizer

    tokenizer = NoteTokenizer(tokenizer=tokenizer_json, maxPieces=config.max_pieces, stride=0, clsId=config.cls_id)
    echo = load_annotator(echo_folder).setInputCols(["document", "token"]).setOutputCol("embeddings")
    frame = spark.createDataFrame(list(enumerate(texts)), "place int, text string")
    vectors = F.col("embeddings.embeddings").alias("vectors")
    rows = PipelineModel([tokenizer, echo]).transform(frame).select("place", vectors).orderBy("place").collect()
    first, last, size = config.cls_id, config.sep_id, config.vocab_size
    return [[first, *(int(vector[0]) - size for vector in row.vectors), last] for row in rows]


def compare_vectors(
    spark: SparkSession, annotator_folder: Path, *, checkpoint: Checkpoint, config: EncoderConfig
) -> Iterator[VectorFigure]:
    """All routes at all lengths that the model can read."""
    reference = reference_model(checkpoint, config)
    graph, annotator = SavedGraph(annotator_folder), load_annotator(annotator_folder)
    # One more than the row: with the code of <s> in front, Spark NLP's own <s> comes on top.
    annotator._set(maxSentenceLength=config.max_row + 1)
    generator = np.random.default_rng(SEED)
    for length in (n for n in LENGTHS if n <= config.max_row):
        batch = Batch.random(generator, length=length, config=config)
        expected = reference(batch.ids, batch.mask)
        routes: dict[str, Callable[[], list[Vectors]]] = {
            "graph, ordinary ids": partial(run_graph, graph, batch, batch.ids),
            "graph, codes": partial(run_graph, graph, batch, batch.codes(config)),
        }
        if length > 2:  # Spark NLP makes no row without a piece
            routes["Spark NLP, codes"] = partial(run_windows, spark, annotator, batch.windows())
        for route, run in routes.items():
            yield figure(route, length, found=run(), expected=batch.split(expected))


def special_ids(config: EncoderConfig) -> list[int]:
    return [config.cls_id, config.pad_id, config.sep_id]


def run_graph(graph: SavedGraph, batch: Batch, ids: Ids) -> list[Vectors]:
    return batch.split(graph.run(ids, batch.mask))


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A full row and one padded from half its length on, as a tokenizer would make them: <s> … </s>."""

    ids: Ids
    mask: Ids

    @classmethod
    def random(cls, generator: np.random.Generator, *, length: int, config: EncoderConfig) -> Batch:
        ordinary = np.setdiff1d(np.arange(config.vocab_size), special_ids(config))
        ids = generator.choice(ordinary, (2, length)).astype(np.int32)
        mask = np.ones_like(ids)
        lengths = (length, max(length // 2, 1))
        for row, size in enumerate(lengths):
            ids[row, size - 1] = config.sep_id
            ids[row, 0] = config.cls_id
            ids[row, size:] = config.pad_id
            mask[row, size:] = 0
        return cls(ids=ids, mask=mask)

    def codes(self, config: EncoderConfig) -> Ids:
        """As Spark NLP sends codes: the special pieces at the ends and the padding are ordinary."""
        return np.where(np.isin(self.ids, special_ids(config)), self.ids, self.ids + config.vocab_size)

    def split(self, vectors: Vectors) -> list[Vectors]:
        """(2, P, W) -> the vectors of each row's real places"""
        return [row[mask.astype(bool)] for row, mask in zip(vectors, self.mask, strict=True)]

    def windows(self) -> list[list[int]]:
        """The pieces of each row with <s> in front, whose vector is then handed back too, and without </s>."""
        rows = [row[mask.astype(bool)] for row, mask in zip(self.ids, self.mask, strict=True)]
        return [row[:-1].tolist() for row in rows if len(row) > 2]


def reference_model(checkpoint: Checkpoint, config: EncoderConfig) -> Callable[[Ids, Ids], Vectors]:
    """transformers' LongformerModel in fp32, filled from the tensors that were read."""
    import torch
    from transformers import LongformerConfig, LongformerModel

    model = LongformerModel(LongformerConfig.from_dict(checkpoint.config), add_pooling_layer=False)
    model.train(False)
    tensors = longformer.account_for(checkpoint, config)
    result = model.load_state_dict({name: torch.from_numpy(array) for name, array in tensors.items()}, strict=False)
    unfilled = [name for name in result.missing_keys if "_global" not in name]
    if unfilled or result.unexpected_keys:
        raise ParityError(f"transformers' model has other tensors: {unfilled + result.unexpected_keys}.")

    # transformers pads to the widest window itself, but then fails where another layer's window does not divide that.
    multiple = math.lcm(*(2 * reach for reach in config.reach))

    def run(ids: Ids, mask: Ids) -> Vectors:
        padding = ((0, 0), (0, -ids.shape[1] % multiple))
        padded_ids = torch.from_numpy(np.pad(ids, padding, constant_values=config.pad_id)).long()
        padded_mask = torch.from_numpy(np.pad(mask, padding)).long()
        with torch.inference_mode():
            output = model(padded_ids, attention_mask=padded_mask)
        vectors: Vectors = output.last_hidden_state.numpy()[:, : ids.shape[1]]
        return vectors

    return run


def figure(route: str, length: int, *, found: list[Vectors], expected: list[Vectors]) -> VectorFigure:
    """The worst difference and cosine; where `found` lacks a row's last place (</s>), that place is not compared."""
    pairs = [(f.astype(np.float64), e[: len(f)].astype(np.float64)) for f, e in zip(found, expected, strict=False)]
    ours, theirs = (np.concatenate([pair[side] for pair in pairs]) for side in (0, 1))
    cosines = (ours * theirs).sum(1) / (np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1))
    return VectorFigure(
        route=route,
        length=length,
        max_abs_difference=float(np.abs(ours - theirs).max()),
        min_cosine=float(cosines.min()),
    )
