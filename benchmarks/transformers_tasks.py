"""transformers in Spark, for the tasks: the same checkpoint in its pipelines, behind a pandas UDF.

transformers has no pipeline for questions since version 5. There the plain equivalent takes its place: the model with
this head, on the windows that the tokenizer cuts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmarks.shape import Shape
from benchmarks.tasks import ANSWER, CLASSIFY, ENTITIES, find_task

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

THREADS_PER_TASK = 1
"""A task of Spark's has one core."""

MAX_ANSWER_PIECES = 15
"""As in sparkclin and in the pipeline that transformers had."""

Found = list[dict[str, Any]]
"""What is found in a note: structs as RESULTS says."""

RESULTS = {
    ENTITIES.name: "array<struct<entity_group: string, score: float, start: int, end: int>>",
    CLASSIFY.name: "array<struct<label: string, score: float>>",
    ANSWER.name: "array<struct<score: float, start: int, end: int, answer: string>>",
}
"""The type of what is found, with transformers' own names."""


def process(rows: DataFrame, *, checkpoint: Path, task: str, shape: Shape) -> DataFrame:
    """The rows with `result`: what is found, null for none."""
    from pyspark.sql.pandas.functions import pandas_udf

    def found(texts: pd.Series) -> pd.Series:
        find = loaded(str(checkpoint), task, longest=shape.max_row, stride=shape.stride)
        return pd.Series([find(text) for text in texts])

    found.__annotations__ = {"texts": pd.Series, "return": pd.Series}  # pandas_udf reads types, not their names
    return rows.withColumn("result", pandas_udf(found, RESULTS[task])("text"))  # type: ignore[call-overload]


@cache
def loaded(checkpoint: str, task: str, *, longest: int, stride: int) -> Callable[[str], Found]:
    """What finds, in a Python worker, which keeps it; `longest` is how many pieces the model reads."""
    import torch
    from transformers import AutoTokenizer

    torch.set_num_threads(THREADS_PER_TASK)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint, model_max_length=longest)
    return LOADERS[task](checkpoint, tokenizer, stride)


def entity_pipeline(checkpoint: str, tokenizer: Any, stride: int) -> Callable[[str], Found]:
    """Longer notes than the model reads go in windows that share `stride` pieces."""
    from transformers import pipeline

    find: Callable[[str], Found] = pipeline(
        "token-classification",
        model=checkpoint,
        tokenizer=tokenizer,
        device="cpu",  # it takes an accelerator where there is one
        aggregation_strategy="simple",
        stride=stride,
    )
    wanted = ("entity_group", "score", "start", "end")
    return lambda text: [{name: plain(entity[name]) for name in wanted} for entity in find(text)]


def label_pipeline(checkpoint: str, tokenizer: Any, _stride: int) -> Callable[[str], Found]:
    """Of all labels the probability; the pipeline cuts off what the model does not read."""
    from transformers import pipeline

    label: Any = pipeline("text-classification", model=checkpoint, tokenizer=tokenizer, device="cpu", top_k=None)
    return lambda text: list(label([text], truncation=True)[0])


def plain(value: Any) -> Any:
    """Numbers of NumPy's as Python's, which Arrow takes."""
    return value.item() if hasattr(value, "item") else value


def best_answer(checkpoint: str, tokenizer: Any, stride: int) -> Callable[[str], Found]:
    """The answer of the largest product of the probabilities of its begin and its end, over all windows."""
    import torch
    from transformers import AutoModelForQuestionAnswering

    model = AutoModelForQuestionAnswering.from_pretrained(checkpoint).eval()
    question = find_task(ANSWER.name).question

    def ask(text: str) -> Found:
        windows = tokenizer(question, text, truncation="only_second", stride=stride, return_overflowing_tokens=True)
        answers: Found = []
        for window in windows.encodings:
            with torch.inference_mode():
                output = model(
                    input_ids=torch.tensor([window.ids]), attention_mask=torch.tensor([window.attention_mask])
                )
            in_note = torch.tensor([sequence == 1 for sequence in window.sequence_ids])
            begins, ends = (
                logits[0].masked_fill(~in_note, float("-inf")).softmax(dim=0)
                for logits in (output.start_logits, output.end_logits)
            )
            spans = torch.outer(begins, ends).triu().tril(MAX_ANSWER_PIECES - 1)
            first, last = divmod(int(spans.argmax()), len(spans))
            start, end = window.offsets[first][0], window.offsets[last][1]
            answers.append({"score": float(spans.max()), "start": start, "end": end, "answer": text[start:end]})
        return [max(answers, key=lambda answer: float(answer["score"]))]

    return ask


LOADERS: Mapping[str, Callable[[str, Any, int], Callable[[str], Found]]] = {
    ENTITIES.name: entity_pipeline,
    CLASSIFY.name: label_pipeline,
    ANSWER.name: best_answer,
}
