"""A run's own lines, on stderr, each with the time since the command was typed."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from sparkclin.errors import without_controls
from sparkclin.spark.session import running_session, under_spark_submit


@dataclass(frozen=True, kw_only=True)
class Console:
    """`began_s` is when the command began, by time.monotonic()."""

    began_s: float

    @classmethod
    def of_command(cls) -> Console:
        """From the start of this process, or of spark-submit, which started it. Where Spark runs already the command is
        one of several, and begins now."""
        age_s = 0.0 if running_session() else _age_s(os.getppid() if under_spark_submit() else os.getpid())
        return cls(began_s=time.monotonic() - age_s)

    @property
    def wall_s(self) -> float:
        """What a stopwatch shows."""
        return time.monotonic() - self.began_s

    def say(self, *lines: str) -> None:
        """`[00:07] 60 notes`; further lines stand below the first."""
        stamp = f"[{tqdm.format_interval(self.wall_s)}] "
        print(stamp + ("\n" + " " * len(stamp)).join(map(_in_one, lines)), file=sys.stderr, flush=True)


def _in_one(line: str) -> str:
    return without_controls(line.replace("\n", "\\n"))


def _age_s(process: int) -> float:
    """How long a process has run; 0 where the system does not say. What a shell script ends with takes over the number
    and the age of its process, as the launchers of spark-submit do."""
    with suppress(OSError, ValueError, IndexError, AttributeError):
        behind_name = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        started_s = int(behind_name[19]) / os.sysconf("SC_CLK_TCK")  # field 22 of proc(5), since the machine's start
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started_s)
    return 0.0
