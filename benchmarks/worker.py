"""A measuring process: `python -m benchmarks.worker JOB.json FOLDER`. It loads a contender once, and reads one reading
after the other; what it found of the first is FOLDER/0.json."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.contenders import find_contender
from benchmarks.job import Done, Job, Timing
from sparkclin.spark.storage import write_text


def main(arguments: Sequence[str] | None = None) -> None:
    job_file, folder = map(Path, sys.argv[1:] if arguments is None else arguments)
    for index, done in enumerate(run(Job.from_json(job_file.read_text(encoding="utf-8")))):
        write_text(folder / f"{index}.json", json.dumps(asdict(done)))


def run(job: Job) -> Iterator[Done]:
    # Before anything starts a thread: JVMs and engines count the processors that they may use.
    os.sched_setaffinity(0, job.cpus)
    begin = time.monotonic()
    running = find_contender(job.contender).start(job)
    load_s = time.monotonic() - begin
    for reading in job.readings:
        loaded = time.monotonic()
        running.read(reading.warm_up, reading.workload)
        warm = time.monotonic()
        rows = running.read(reading.rows, reading.workload)
        end = time.monotonic()
        timing = Timing(
            rows=rows,
            load_s=load_s,
            warm_up_s=warm - loaded,
            elapsed_s=end - warm,
            settings=running.settings,
        )
        yield Done(timing=timing, began_s=loaded, ended_s=end)
        load_s = 0.0


if __name__ == "__main__":
    main()
