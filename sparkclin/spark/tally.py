"""What workers say beside their rows: a count per text, such as of the tasks that ran in a precision."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pyspark.accumulators import Accumulator, AccumulatorParam

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class _Counts(AccumulatorParam["Counter[str]"]):
    def zero(self, value: Counter[str]) -> Counter[str]:  # noqa: ARG002
        return Counter()

    def addInPlace(self, value1: Counter[str], value2: Counter[str]) -> Counter[str]:  # noqa: N802
        value1.update(value2)
        return value1


Tally = Accumulator["Counter[str]"]

_tallies: dict[str, Tally] = {}
"""By Spark application."""


def tally(spark: SparkSession) -> Tally:
    """The one of a Spark application: `add(Counter([text]))` in a task. A task that Spark repeats may count again."""
    application = str(spark.sparkContext.applicationId)
    if application not in _tallies:
        _tallies.clear()
        _tallies[application] = spark.sparkContext.accumulator(Counter(), _Counts())
    return _tallies[application]
