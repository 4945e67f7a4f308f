"""The process that makes one measurement: `python -m benchmarks.worker JOB.json TIMING.json`."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.contenders import find_contender
from benchmarks.job import Job, Timing


def main(arguments: Sequence[str] | None = None) -> None:
    job_file, timing_file = map(Path, sys.argv[1:] if arguments is None else arguments)
    timing = run(Job.from_json(job_file.read_text(encoding="utf-8")))
    timing_file.write_text(json.dumps(asdict(timing)), encoding="utf-8")


def run(job: Job) -> Timing:
    # Before anything starts a thread: JVMs and engines count the processors that they may use.
    os.sched_setaffinity(0, job.cpus)
    begin = time.perf_counter()
    running = find_contender(job.contender).start(job)
    loaded = time.perf_counter()
    running.read(job.warm_up)
    warm = time.perf_counter()
    rows = running.read(job.rows)
    end = time.perf_counter()
    return Timing(
        rows=rows,
        load_s=loaded - begin,
        warm_up_s=warm - loaded,
        elapsed_s=end - warm,
        settings=running.settings,
    )


if __name__ == "__main__":
    main()
