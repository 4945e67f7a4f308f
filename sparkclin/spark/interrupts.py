"""Ctrl-C while Spark works: what runs is ended in order, and nothing of Spark's own shows."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

from sparkclin.spark.failures import java_has_ended

if TYPE_CHECKING:
    from pyspark import SparkContext

CANCEL_EVERY_S = 0.5
MOST_WAIT_S = 20.0
"""A model in the JVM ends its batch first."""


@contextmanager
def interruptible(context: SparkContext) -> Iterator[None]:
    """While it holds, Ctrl-C ends Spark's jobs until the block is left, which it leaves as KeyboardInterrupt.

    PySpark's own handler raises in the midst of a call of Java, whose answer nobody reads then. Pressed twice, it does
    not wait. In another thread than the main one nothing is changed: no signal gets there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed, left = threading.Event(), threading.Event()

    def cancel() -> None:
        while not left.wait(CANCEL_EVERY_S):  # the block may go on to its next job
            with suppress(Exception):
                context.cancelAllJobs()

    def handle(number: int, frame: FrameType | None) -> None:
        if pressed.is_set():
            signal.default_int_handler(number, frame)
        pressed.set()
        threading.Thread(target=cancel, daemon=True).start()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    except Exception:
        if pressed.is_set():
            raise KeyboardInterrupt from None
        raise
    finally:
        left.set()
        signal.signal(signal.SIGINT, before)


@contextmanager
def settled(context: SparkContext) -> Iterator[None]:
    """An exception leaves the block when no task runs any more, or after MOST_WAIT_S: those of a job that has failed or
    was cancelled go on for a while, and write."""
    try:
        yield
    except BaseException:
        with suppress(Exception):
            deadline = time.monotonic() + MOST_WAIT_S
            while running_tasks(context) and time.monotonic() < deadline:
                time.sleep(CANCEL_EVERY_S)
        raise


def running_tasks(context: SparkContext) -> int:
    """Of all jobs of a session, on all executors. The scheduler counts them: a status tracker hears of a task later."""
    jsc: Any = context._jsc
    counts, total = jsc.sc().taskScheduler().runningTasksByExecutors().valuesIterator(), 0
    while counts.hasNext():
        total += counts.next()
    return total


@contextmanager
def without_tracebacks() -> Iterator[None]:
    """While it holds, py4j logs no traceback when Java ends, and PySpark's server of accumulators prints none, then or
    later. Where Java has ended, py4j stays quiet: threads and finalizers may call it until Python ends."""
    from pyspark.accumulators import AccumulatorServer

    AccumulatorServer.handle_error = lambda *_: None  # type: ignore[method-assign]
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        if not java_has_ended():
            logging.disable(before)
