"""A folder that every worker reads from a disk of its own machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sparkclin.spark import storage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class SharedFolder:
    """`path` is where all machines see it; or, with `is_copied`, its name among the files of the Spark application."""

    path: str
    is_copied: bool

    def on_this_machine(self) -> str:
        """In a task."""
        from pyspark import SparkFiles

        return SparkFiles.get(self.path) if self.is_copied else self.path


def share_folder(spark: SparkSession, location: str) -> SharedFolder:
    """A local path is on a disk that all machines share, as in local mode. A folder on another file system is copied to
    each executor once, where its workers share it."""
    if not storage.is_remote(location):
        return SharedFolder(str(storage.local_path(location)), is_copied=False)
    spark.sparkContext.addFile(location, recursive=True)
    return SharedFolder(Path(location).name, is_copied=True)
