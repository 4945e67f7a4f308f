"""What is asked of a model: the tasks that are measured, each with its head, its workloads and its labels."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.workloads import LONG, NOTES, WORKLOADS
from sparkclin import schema
from sparkclin.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class Task:
    """`name` is as in a bundle's manifest, `architecture` how transformers' classes with the head end, `labels` the
    head's. Each note is read with `question`, or alone where it is empty."""

    name: str
    architecture: str
    workloads: tuple[str, ...] = (NOTES, LONG)
    labels: tuple[str, ...] = ()
    question: str = ""

    def of(self, name: str) -> str:
        """What `name` is called in this task, such as the series of a workload. Vectors are not named."""
        return name if self.name == schema.EMBED else f"{self.name} {name}"


EMBED = Task(name=schema.EMBED, architecture="ForMaskedLM", workloads=WORKLOADS)
ENTITIES = Task(
    name=schema.ENTITIES,
    architecture="ForTokenClassification",
    labels=("O", "B-PROBLEM", "I-PROBLEM", "B-DRUG", "I-DRUG"),
)
CLASSIFY = Task(
    name=schema.CLASSIFY, architecture="ForSequenceClassification", labels=("CARDIOLOGY", "NEUROLOGY", "SURGERY")
)
ANSWER = Task(
    name=schema.ANSWER, architecture="ForQuestionAnswering", question="Which drugs does the patient take at home?"
)

TASKS = (EMBED, ENTITIES, CLASSIFY, ANSWER)
"""In the order of the tables."""


def find_task(name: str) -> Task:
    """Raises OptionError, naming all, for one that there is not."""
    found = {task.name: task for task in TASKS}
    if name not in found:
        raise OptionError(f"there is no task {name!r}; the tasks are {', '.join(found)}.")
    return found[name]
