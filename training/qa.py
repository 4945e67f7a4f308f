"""Fine-tuning for questions: a checkpoint of either family becomes one that marks the answer in a note.

    python -m training.qa --train train.json --dev dev.json --init CHECKPOINT --output answers --work run

Corpora have SQuAD's form, version 1.1 or 2.0 (evaluation/qa.py). The defaults are those of the Clinical-Longformer
authors for emrQA (Li et al., arXiv 2201.11838): learning rate 3e-5, 4 epochs, 4,096 pieces. A row is the question and a
window of the context; windows overlap. A window in which an answer does not stand whole points to the first special
piece, and so does every window of a question without an answer. `--empty-windows 1` trains on one of these per
question, drawn by the seed, where a corpus of long contexts would take too long. Longformer's global attention is on
the question, which transformers puts there itself. The epoch with the best F1 on `--dev` is kept
(training/fine_tune.py).
"""

from __future__ import annotations

import heapq
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from transformers import (
    AutoModelForQuestionAnswering,
    AutoTokenizer,
    DataCollatorWithPadding,
    PreTrainedTokenizerBase,
    set_seed,
)

from sparkclin.errors import InputError, OptionError
from sparkclin.evaluation.qa import Answer, AnswerScore, Question, read_squad, score
from sparkclin.text.pieces import Ints, PieceEncoder
from training.fine_tune import (
    Features,
    FineTuneOptions,
    Run,
    dropout_settings,
    parser_of,
    run_and_print,
    save,
    shared_options,
    train_best,
    window_of,
)
from training.windowed import Layout, check_room

MAX_ANSWER_PIECES = 128
NO_ANSWER = 0
"""The position to which a row without an answer points: the first special piece."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class QaOptions(FineTuneOptions):
    """`empty_windows` is how many windows of a question that do not hold its answer are trained on, all where it is
    None; `max_answer_pieces` the longest answer that is looked for on dev, in training there is no limit."""

    counts = (*FineTuneOptions.counts, "max_answer_pieces")

    lr: float = 3e-5
    empty_windows: int | None = None
    max_answer_pieces: int = MAX_ANSWER_PIECES

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.empty_windows is not None and self.empty_windows < 1:
            raise OptionError(f"empty_windows is {self.empty_windows}, it must be at least 1.")


@dataclass(frozen=True, kw_only=True)
class QaRecord:
    """What made a checkpoint, and how good it is on `run.dev`. `rows_with_answer` are those of `run.rows`; `no_answer`
    is whether a question without one was among them, and none could be the answer on dev."""

    run: Run
    train_questions: int
    dev_questions: int
    rows_with_answer: int
    no_answer: bool
    empty_windows: int | None
    max_answer_pieces: int
    dev_score: AnswerScore


@dataclass(frozen=True, eq=False)
class QuestionRow:
    """A window of a question's context, as the model takes it. The context's pieces are at `first`, `first` + 1, …;
    `begins` and `ends` are where they stand in it, in code points, without white space around them."""

    question: int
    features: Mapping[str, list[int]]
    first: int
    begins: Ints
    ends: Ints

    def positions_of(self, answer: Answer) -> tuple[int, int]:
        """Of its first and last piece; NO_ANSWER where it does not stand whole in the window."""
        begin = answer.end - len(answer.text.lstrip())
        end = answer.begin + len(answer.text.rstrip())
        if not self.begins[0] <= begin < end <= self.ends[-1]:
            return NO_ANSWER, NO_ANSWER
        first = int(np.searchsorted(self.ends, begin, side="right"))
        last = int(np.searchsorted(self.begins, end, side="left")) - 1
        return self.first + first, self.first + last

    def to_learn(self, answers: Sequence[Answer]) -> Features:
        begin, end = self.positions_of(answers[0]) if answers else (NO_ANSWER, NO_ANSWER)
        return {**self.features, "start_positions": begin, "end_positions": end}


@dataclass(frozen=True)
class Span:
    """A range of a context in code points, the end exclusive, and its probability; without one it is no answer."""

    score: float
    range: tuple[int, int] | None


def fine_tune(options: QaOptions) -> QaRecord:
    """Trains, writes the checkpoint with its record to `options.output`, and returns the record.

    Raises InputError for a corpus that cannot be read, and OptionError for windows that the model cannot.
    """
    set_seed(options.seed)
    train, dev = (read_all(files) for files in (options.train, options.dev))
    no_answer = any(not question.answers for question in train)
    tokenizer = AutoTokenizer.from_pretrained(options.init)
    model = AutoModelForQuestionAnswering.from_pretrained(options.init, num_labels=2, **dropout_settings(options))
    max_pieces = window_of(model, tokenizer, source=options.init, max_pieces=options.max_pieces)
    train_rows, dev_rows = (list(rows_of(questions, tokenizer, max_pieces=max_pieces)) for questions in (train, dev))
    train_features, dev_features = (
        [row.to_learn(questions[row.question].answers) for row in rows]
        for questions, rows in ((train, train_rows), (dev, dev_rows))
    )
    train_features = drawn(train_rows, train_features, most_empty=options.empty_windows, seed=options.seed)

    def dev_score(logits: tuple[Floats, Floats]) -> AnswerScore:
        spans = best_spans(dev_rows, zip(*logits, strict=True), longest=options.max_answer_pieces, no_answer=no_answer)
        found = {q.question_id: text_of(q, spans[index][0]) or "" for index, q in enumerate(dev)}
        return score(dev, found)

    trained = train_best(
        model,
        tokenizer,
        options,
        train=train_features,
        dev=dev_features,
        collator=DataCollatorWithPadding(tokenizer),
        metric=lambda logits: dev_score(logits).f1,
        max_pieces=max_pieces,
    )
    record = QaRecord(
        run=trained.run,
        train_questions=len(train),
        dev_questions=len(dev),
        rows_with_answer=sum(row["end_positions"] != NO_ANSWER for row in train_features),
        no_answer=no_answer,
        empty_windows=options.empty_windows,
        max_answer_pieces=options.max_answer_pieces,
        dev_score=dev_score(trained.predictions),
    )
    save(model, tokenizer, record, folder=options.output)
    return record


def read_all(files: Sequence[Path]) -> list[Question]:
    return [question for file in files for question in read_squad(file)]


def rows_of(
    questions: Sequence[Question], tokenizer: PreTrainedTokenizerBase, *, max_pieces: int
) -> Iterator[QuestionRow]:
    """Every window of every context, behind its question."""
    encoder, layout = PieceEncoder(tokenizer.backend_tokenizer.to_str()), Layout.of(tokenizer)
    asked = [pieces.ids.tolist() for pieces in encoder.encode([question.question for question in questions])]
    check_room(layout, asked, max_pieces=max_pieces, what="question")
    contexts = {question.context: None for question in questions}
    pieces = dict(zip(contexts, encoder.encode(list(contexts)), strict=True))
    if empty := sum(not len(pieces[question.context]) for question in questions):
        raise InputError(f"{empty} of {len(questions)} questions have a context without text: leave them out.")
    for index, (question, ids) in enumerate(zip(questions, asked, strict=True)):
        context = pieces[question.context]
        for row in layout.rows(context.ids.tolist(), ids, other_first=True, max_pieces=max_pieces):
            begins, ends = context.begins[slice(*row.window)], context.ends[slice(*row.window)]
            yield QuestionRow(index, row.features, row.first, begins, ends)


def drawn(
    rows: Sequence[QuestionRow], features: Sequence[Features], *, most_empty: int | None, seed: int
) -> list[Features]:
    """The features of all rows with an answer, and of at most `most_empty` other ones per question, in their order."""
    counts: Counter[int] = Counter()
    kept = []
    for index in np.random.default_rng(seed).permutation(len(rows)):
        question, is_empty = rows[index].question, features[index]["end_positions"] == NO_ANSWER
        counts[question] += is_empty
        if not is_empty or most_empty is None or counts[question] <= most_empty:
            kept.append(int(index))
    return [features[index] for index in sorted(kept)]


def best_spans(
    rows: Sequence[QuestionRow],
    logits: Iterable[tuple[Floats, Floats]],
    *,
    longest: int,
    no_answer: bool,
    top_k: int = 1,
) -> list[list[Span]]:
    """The `top_k` likeliest spans of each question, over all its windows, the likeliest first.

    `logits` are those of each row for begins and for ends, (positions,), padding allowed. No answer is as likely as
    in the window where it is the least likely, as transformers 4's pipeline had it.
    """
    of_questions: dict[int, dict[tuple[int, int] | None, float]] = {}
    for row, (begins, ends) in zip(rows, logits, strict=True):
        found = of_questions.setdefault(row.question, {})
        spans, none = spans_of_window(row, begins, ends, longest=longest, top_k=top_k)
        if no_answer:
            found[None] = min(none, found.get(None, 1.0))
        for span in spans:
            found[span.range] = max(span.score, found.get(span.range, 0.0))
    return [
        [Span(value, where) for where, value in heapq.nlargest(top_k, found.items(), key=lambda item: item[1])]
        for found in of_questions.values()
    ]


def spans_of_window(
    row: QuestionRow, begins: Floats, ends: Floats, *, longest: int, top_k: int
) -> tuple[list[Span], float]:
    """The likeliest spans of a window, and how likely it is that none of it is the answer.

    As in the question-answering pipeline of transformers 4: the probabilities of begins and of ends are a softmax each,
    over the window's own pieces and the first special one. So a window that points to the latter gives unlikely spans.
    A span has at most `longest` pieces.
    """
    own = slice(row.first, row.first + len(row.begins))
    log_begins, log_ends = (log_softmax(np.concatenate([x[:1], x[own]])) for x in (begins, ends))
    none = float(np.exp(log_begins[0] + log_ends[0]))
    # (pieces after the first, begin): behind the window nothing can end. Logarithms, as products may all be 0.
    padded = np.pad(log_ends[1:], (0, min(longest, len(row.ends)) - 1), constant_values=-np.inf)
    likely = np.lib.stride_tricks.sliding_window_view(padded, len(row.ends)) + log_begins[1:]
    best = np.argpartition(-likely, min(top_k, likely.size) - 1, axis=None)[:top_k]
    spans = []
    for more, piece in zip(*np.unravel_index(best, likely.shape), strict=True):
        if np.isfinite(likely[more, piece]):
            where = int(row.begins[piece]), int(row.ends[piece + more])
            spans.append(Span(float(np.exp(likely[more, piece])), where))
    return spans, none


def log_softmax(x: Floats) -> npt.NDArray[np.float64]:
    x64 = x.astype(np.float64) - x.max()
    return np.asarray(x64 - np.log(np.exp(x64).sum()))


def text_of(question: Question, span: Span) -> str | None:
    return None if span.range is None else question.context[slice(*span.range)]


def parse_options(arguments: Sequence[str] | None = None) -> QaOptions:
    parser = parser_of("training.qa", __doc__, QaOptions, files="JSON files in SQuAD's form", metric="F1")
    default = QaOptions.max_answer_pieces
    parser.add_argument(
        "--max-answer-pieces", type=int, default=default, metavar="N", help="longest answer found on dev"
    )
    parser.add_argument(
        "--empty-windows", type=int, metavar="N", help="of a question, without its answer, to train on; default: all"
    )
    found = parser.parse_args(arguments)
    return QaOptions(
        **shared_options(found), empty_windows=found.empty_windows, max_answer_pieces=found.max_answer_pieces
    )


def main(arguments: Sequence[str] | None = None) -> int:
    return run_and_print(lambda: fine_tune(parse_options(arguments)))


if __name__ == "__main__":
    sys.exit(main())
