"""The labels of a head: their names, and the problem type, which is how the labels of a row go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkclin.errors import InputError, OptionError
from sparkclin.export.errors import CheckpointError
from sparkclin.models.label_warnings import are_unnamed
from sparkclin.schema import CLASSIFY, ENTITIES
from sparkclin.text.labels import MULTI_LABEL, PROBLEM_TYPES, REGRESSION, SINGLE_LABEL

if TYPE_CHECKING:
    from sparkclin.export.checkpoint import Checkpoint
    from sparkclin.export.heads.head import HeadSpec


@dataclass(frozen=True, kw_only=True)
class StatedLabels:
    """Labels as a user states them, instead of config.json: their names by id, and the problem type."""

    names: tuple[str, ...] = ()
    problem_type: str | None = None

    def problems(self) -> list[str]:
        """Return the problems that no checkpoint solves: blank names, repeated names, an unknown problem type."""
        found = [f"--labels: line {line} is blank" for line, name in enumerate(self.names, 1) if not name.strip()]
        if repeated := _repeated(self.names):
            found.append(f"--labels: more than one line has the label {', '.join(repeated)}")
        if self.problem_type not in (None, *PROBLEM_TYPES):
            found.append(f"--problem-type {self.problem_type!r}: expected one of {', '.join(PROBLEM_TYPES)}")
        return found


NOTHING_STATED = StatedLabels()


def read_labels(file: Path) -> tuple[str, ...]:
    """Return the names in a text file: one per line, in the order of the ids. Raises InputError for an empty file."""
    try:
        names = tuple(line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"--labels {file} cannot be read as UTF-8 text ({type(error).__name__}). Save it as UTF-8."
        ) from None
    if not names:
        raise InputError(f"--labels {file} is empty: expected one label per line, in the order of the ids.")
    return names


def with_labels(source: Checkpoint, spec: HeadSpec, stated: StatedLabels) -> Checkpoint:
    """Return the checkpoint with the stated labels and problem type in its config.

    If config.json has no id2label, the names are transformers' own, LABEL_0 and so on. Raises OptionError for a
    statement that does not fit the head, and CheckpointError for a problem type that transformers does not take, and
    for a token classification whose labels have no names.
    """
    _check_fits(source, spec, stated)
    if spec.label_weight not in source.tensors:
        return source
    n_labels, config = len(source.tensors[spec.label_weight]), dict(source.config)
    if stated.names or not config.get("id2label"):
        config |= _named(stated.names or [f"LABEL_{number}" for number in range(n_labels)])
    if stated.problem_type:
        config["problem_type"] = stated.problem_type
    if spec.task == ENTITIES:
        _check_named(labels_of(config), source=source.source)
    if spec.task == CLASSIFY:
        _check_problem_type(config.get("problem_type"), n_labels=n_labels, source=source.source)
    return replace(source, config=config)


def _check_fits(source: Checkpoint, spec: HeadSpec, stated: StatedLabels) -> None:
    n_labels = len(source.tensors.get(spec.label_weight or "", ()))
    problems = []
    if stated.names and spec.label_weight is None:
        problems.append(f"--labels: {source.source} is a model for the task {spec.task!r}, which has no labels")
    elif stated.names and n_labels and len(stated.names) != n_labels:
        problems.append(
            f"--labels has {len(stated.names)} labels, and {spec.label_weight} of {source.source} has {n_labels} rows: "
            "give one label per row, in the order of the ids"
        )
    if stated.problem_type and spec.task != CLASSIFY:
        problems.append(f"--problem-type has no effect on {source.source}, a model for the task {spec.task!r}")
    if problems:
        raise OptionError("; ".join(problems) + ".")


def _check_named(labels: Sequence[str], *, source: str) -> None:
    if are_unnamed(labels):
        raise CheckpointError(
            f"config.json of {source} does not name its {len(labels)} labels: every word of a note would become an "
            "entity. Give the names with --labels FILE, one per line in the order of the ids. One of them is probably "
            "O, the label of words outside of entities."
        )


def _check_problem_type(problem_type: object, *, n_labels: int, source: str) -> None:
    allowed = PROBLEM_TYPES if n_labels > 1 else (MULTI_LABEL, REGRESSION)
    if problem_type not in (None, *allowed):
        raise CheckpointError(
            f"the problem_type of {source} is {problem_type!r}, expected one of {', '.join(allowed)} for a head with "
            f"{n_labels} rows. Fix config.json, or state it with --problem-type."
        )


def _named(names: Sequence[str]) -> dict[str, Any]:
    return {
        "id2label": {str(number): name for number, name in enumerate(names)},
        "label2id": {name: number for number, name in enumerate(names)},
    }


def labels_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the labels of config.json by id. Raises CheckpointError if `id2label` is missing, does not count from 0,
    repeats a label, or contradicts `label2id`."""
    named = config.get("id2label")
    if not isinstance(named, Mapping) or not named:
        raise CheckpointError("config.json has no id2label: expected the label of each number, such as {'0': 'O'}.")
    by_number = {int(number): str(label) for number, label in named.items()}
    problems = []
    if sorted(by_number) != list(range(len(by_number))):
        problems.append(f"the numbers are {sorted(by_number)}, expected 0 to {len(by_number) - 1}")
    if repeated := _repeated(list(by_number.values())):
        problems.append(f"more than one number has the label {', '.join(repeated)}")
    back = {str(label): int(number) for label, number in (config.get("label2id") or {}).items()}
    if back and back != {label: number for number, label in by_number.items()}:
        problems.append(f"label2id has other numbers: {back}")
    if problems:
        raise CheckpointError(
            f"id2label of config.json: {'; '.join(problems)}. Fix it, or give the labels with --labels FILE."
        )
    return tuple(by_number[number] for number in range(len(by_number)))


def problem_type_of(config: Mapping[str, Any], *, n_labels: int) -> str:
    """Return the problem type, as transformers' TextClassificationPipeline takes it if config.json has none."""
    stated: str | None = config.get("problem_type")
    return stated or (MULTI_LABEL if n_labels == 1 else SINGLE_LABEL)


def _repeated(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if name.strip() and names.count(name) > 1})
