"""The path of every task, with an engine of a few lines in the Python workers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from sparkclin.engines import ENGINES
from sparkclin.models.bundle import MANIFEST_FILE, Bundle
from sparkclin.spark.tally import tally
from sparkclin.tasks.embed import EmbedOptions, embed
from sparkclin.wire.chunks import ChunkLimits
from testkit.bundles import manifest_of, stage
from testkit.tokenizers import word_tokenizer
from testkit.toy_engine import TOY


def test_a_task_counts_once_however_many_chunks_it_has(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report says in how many tasks each precision was computed; a task without a piece computes nothing."""
    monkeypatch.setitem(ENGINES, TOY.name, TOY)
    folder = stage(tmp_path, content=word_tokenizer(["fever"]))
    manifest = manifest_of(folder, name="tiny", engine=TOY.name)
    (folder / MANIFEST_FILE).write_text(manifest.to_json(), encoding="utf-8")
    n_notes = ChunkLimits().notes + 1
    one = spark.range(n_notes).selectExpr("id as note_id", "'fever' as text").coalesce(1)
    blank = spark.range(3).selectExpr("-id - 1 as note_id", "' ' as text").coalesce(1)
    before = Counter(tally(spark).value)
    found = embed(one.union(blank), bundle=Bundle.read(folder), options=EmbedOptions())
    assert found.count() == n_notes + 3
    ran = tally(spark).value - before
    assert [(what.partition(",")[0], tasks) for what, tasks in ran.items()] == [("toys", 1)]
