"""Logs of a JVM that is started from here, and of a session that a run silences and restores."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from sparkclin.spark.failures import unsafe_debug
from sparkclin.spark.logs import LOG_FILE, LOGGING, log_settings, silence
from sparkclin.spark.scratch import JAVA_OPTIONS
from testkit.demo import DEMO_NOTES
from tests.sparkclin.log_state import log_state, logs_errors
from tests.sparkclin.processes import run_python


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Spark's folder for configuration, which is empty."""
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("conf")
def test_a_jvm_that_nobody_configures_logs_what_goes_wrong() -> None:
    found = log_settings({JAVA_OPTIONS: "-Xss2m"})[JAVA_OPTIONS]
    file = re.fullmatch(r'-Xss2m "-Dlog4j2\.configurationFile=file://(/.+)"', found)
    assert file
    assert Path(file[1]).read_text(encoding="utf-8") == LOGGING


def test_a_configured_one_is_left_alone(conf: Path) -> None:
    assert log_settings({JAVA_OPTIONS: "-Dlog4j2.configurationFile=mine"}) == {}
    (conf / LOG_FILE).touch()
    assert log_settings({}) == {}


def test_inside_nothing_is_logged_or_printed_and_afterwards_all_is_as_before(spark: SparkSession) -> None:
    """Silence includes a class whose level a configuration sets: Spark's own setLogLevel() leaves that alone."""
    jvm: Any = spark._jvm
    log4j, name = jvm.org.apache.logging.log4j, "org.apache.spark.util.Utils"
    log4j.core.config.Configurator.setLevel(name, log4j.Level.ERROR)
    before = log_state(spark)
    with silence(spark):
        assert not logs_errors(spark, name)
        assert log_state(spark)["out"] != before["out"]
        with silence(spark):
            assert not logs_errors(spark, name)
        assert not logs_errors(spark, name)
        assert log_state(spark)["out"] != before["out"]
    assert logs_errors(spark, name)
    assert log_state(spark) == before


def test_what_ends_the_block_ends_the_silence(spark: SparkSession) -> None:
    before = log_state(spark)
    with pytest.raises(KeyError), silence(spark):
        raise KeyError
    assert log_state(spark) == before


def test_blocks_of_threads_may_overlap(spark: SparkSession) -> None:
    before = log_state(spark)
    first, second = silence(spark), silence(spark)
    with ThreadPoolExecutor(2) as pool:
        pool.submit(first.__enter__).result()
        pool.submit(second.__enter__).result()
        pool.submit(first.__exit__, None, None, None).result()
        assert not logs_errors(spark)
        assert log_state(spark)["out"] != before["out"]
        pool.submit(second.__exit__, None, None, None).result()
    assert log_state(spark) == before

    def in_a_block(_: int) -> bool:
        with silence(spark):
            return logs_errors(spark)

    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(in_a_block, range(32)))
    assert log_state(spark) == before


def test_unsafe_debug_silences_nothing(spark: SparkSession) -> None:
    before = log_state(spark)
    with unsafe_debug(), silence(spark):
        assert log_state(spark) == before


IN_A_SESSION_OF_PYSPARK = """
import json, os, signal, sys, threading
from dataclasses import replace
from pathlib import Path

import pandas as pd
from pyspark.sql import SparkSession

import sparkclin
from sparkclin.commands import embed
from sparkclin.commands.running import request_of
from sparkclin.runs.run import run
from sparkclin.runs.tasks import embedding
from sparkclin.spark.logs import silence
from sparkclin.tasks.embed import EmbedOptions
from tests.sparkclin.log_state import log_state

folder, notes = sys.argv[1:]
os.environ["PYSPARK_PYTHON"] = sys.executable
texts, states, driver = ["no chest pain", None], {}, os.getpid()
spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
spark.sparkContext.setLogLevel("ERROR")
spark.sparkContext.setJobGroup("mine", "my jobs")

def note(what):
    context = spark.sparkContext
    settings = [list(row) for row in spark.sql("SET").collect()]
    group = [context.getLocalProperty(f"spark.{name}") for name in ("jobGroup.id", "job.description")]
    hadoop = hash(frozenset(dict(context._jsc.hadoopConfiguration().getValByRegex(".")).items()))
    handlers = str(signal.getsignal(signal.SIGINT))
    environment = hash(frozenset(os.environ.items()))
    # Not context.listFiles: a model's file stays in the application, as docs/explanation/trust.md says.
    files = list(context._python_includes), sys.path[:]
    states[what] = {"logs": log_state(spark), "settings": settings, "group": group, "hadoop": hadoop,
                    "SIGINT": handlers, "environment": environment, "files": files}

def asked(name, source=notes):
    return ["--input", source, "--output", f"{folder}/{name}", "--model", "clinical_longformer_demo"]

def with_a_task(doing):
    def rows(notes, bundle, observe):
        def broken(batches):
            doing()
            yield from batches
        observed = observe(notes.selectExpr("note_id", "1 n_pieces", "1 n_windows", "'ok' status"))
        return observed.mapInArrow(broken, observed.schema)
    return replace(embedding(EmbedOptions()), rows=rows)

def fails():
    raise ValueError("fever")

def interrupts():
    os.kill(driver, signal.SIGINT)
    threading.Event().wait()  # until Spark ends the worker of a cancelled job

note("before")
assert embed.main(asked("whole")) == 0
note("a run")
duplicates = Path(folder, "twice.jsonl")
duplicates.write_text((json.dumps({"note_id": 1, "text": "x"}) + chr(10)) * 2)
assert embed.main(asked("refused", str(duplicates))) == 1
note("a run that is refused")
for doing, raised in ((fails, sparkclin.errors.StepError), (interrupts, KeyboardInterrupt)):
    try:
        run(with_a_task(doing), request_of(embed.parser().parse_args(asked(doing.__name__))))
    except raised:
        note(f"a run that {doing.__name__}")
sparkclin.embed(texts, progress=False)
note("embed() of a list")
sparkclin.embed(pd.DataFrame({"text": texts}))
note("embed() of pandas")
sparkclin.embed(spark.createDataFrame([("a", "no pain")], "note_id string, text string")).collect()
note("embed() of Spark")
sparkclin.encode(["no chest pain"])
note("encode()")
sparkclin.find_entities(texts)
note("find_entities()")
print(json.dumps(states))
try:
    with silence(spark):
        os.kill(spark._jvm.java.lang.ProcessHandle.current().pid(), signal.SIGKILL)
        raise KeyError("what the block raises")
except KeyError as error:
    print(error)
"""


def test_a_run_leaves_a_session_of_pyspark_as_it_was(tmp_path: Path) -> None:
    done = run_python(IN_A_SESSION_OF_PYSPARK, str(tmp_path), str(DEMO_NOTES))
    assert done.returncode == 0, done.stderr
    printed, after_java = done.stdout.splitlines()[-2:]
    states = json.loads(printed)
    before = states["before"]
    changed = {(what, name) for what, state in states.items() for name in before if state[name] != before[name]}
    assert changed == set()
    assert {"a run that fails", "a run that interrupts"} <= states.keys()
    assert after_java == "'what the block raises'"
