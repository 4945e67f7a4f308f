"""Print the steps of an export, a line each with its seconds, and no output of its libraries."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TextIO, TypeVar

from sparkclin.errors import SparkclinError

Item = TypeVar("Item")

STEP_WIDTH = 44
PLAIN_LINE_EVERY_S = 30.0
LOG_TAIL = 40
"""How many lines of what libraries said are shown where one of them failed."""

STDOUT, STDERR = 1, 2
LOUD_LOGGERS = ("tensorflow", "py4j")


@dataclass(frozen=True)
class Steps:
    """Print the steps on `stream`. Without a stream, print nothing."""

    stream: TextIO | None = None

    def say(self, text: str) -> None:
        if self.stream is not None:
            print(text, file=self.stream, flush=True)

    @contextmanager
    def step(self, done: str) -> Iterator[None]:
        """Says `done` with the seconds that the inside took, when it is done."""
        began_s = time.monotonic()
        yield
        self.say(f"  {done:<{STEP_WIDTH}}{time.monotonic() - began_s:>8.1f} s")

    def each(self, items: Sequence[Item], doing: str) -> Iterator[Item]:
        """Yield the items and print the progress: a live line on a terminal, elsewhere a plain line every half a
        minute."""
        if self.stream is not None and self.stream.isatty():
            from tqdm import tqdm

            yield from tqdm(items, desc=f"  {doing}", file=self.stream, leave=False, mininterval=0.5)
            return
        last_line_s = time.monotonic()
        for index, item in enumerate(items):
            if time.monotonic() - last_line_s >= PLAIN_LINE_EVERY_S:
                last_line_s = time.monotonic()
                self.say(f"  {doing}: {index} of {len(items)}")
            yield item


SILENT = Steps()


@contextmanager
def steps_alone() -> Iterator[Steps]:
    """Steps on stderr. What libraries and the JVM write into this process's stdout and stderr while it is open goes
    into a file; Python's own streams stay where they were. The file's end is shown where something else than an error
    of ours ends the export.

    The JVM prints on stdout which processor it uses, TensorFlow how it computes before anything can be set, and Spark
    draws bars: none of them asks anything of a user.
    """
    with ExitStack() as stack:
        log = stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace"))
        stack.enter_context(_levels_raised())
        stack.enter_context(_transformers_silenced())
        for number, name in ((STDOUT, "stdout"), (STDERR, "stderr")):
            stack.enter_context(_moved_into(log, number, name))
        try:
            yield Steps(sys.stderr)
        except (SparkclinError, KeyboardInterrupt):
            raise
        except BaseException:
            log.seek(0)
            sys.stderr.writelines(log.readlines()[-LOG_TAIL:])
            raise


@contextmanager
def _moved_into(log: TextIO, number: int, name: str) -> Iterator[None]:
    """The file descriptor writes into the log; Python's stream of this name, where it is the descriptor's, does not."""
    before: TextIO = getattr(sys, name)
    before.flush()
    kept = os.dup(number)
    if _number_of(before) == number:
        setattr(sys, name, os.fdopen(os.dup(kept), "w", buffering=1, encoding="utf-8", errors="replace"))
    os.dup2(log.fileno(), number)
    try:
        yield
    finally:
        os.dup2(kept, number)
        os.close(kept)
        if getattr(sys, name) is not before:
            getattr(sys, name).flush()
            setattr(sys, name, before)


def _number_of(stream: TextIO) -> int | None:
    """Return the file descriptor, or None for a stream without one, as in a notebook or a test."""
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None


@contextmanager
def _levels_raised() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in LOUD_LOGGERS]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


@contextmanager
def _transformers_silenced() -> Iterator[None]:
    """Keep transformers from logging warnings, for which it sets a level when it is imported, and from drawing a bar
    while it reads weights. The bars of downloads stay."""
    from huggingface_hub.utils import enable_progress_bars  # type: ignore[attr-defined]  # documented there
    from transformers.utils import logging as of_transformers

    level, draws = of_transformers.get_verbosity(), of_transformers.is_progress_bar_enabled()
    of_transformers.set_verbosity_error()
    if draws:
        of_transformers.disable_progress_bar()  # the hub's too
        enable_progress_bars()
    try:
        yield
    finally:
        of_transformers.set_verbosity(level)
        if draws:
            of_transformers.enable_progress_bar()
