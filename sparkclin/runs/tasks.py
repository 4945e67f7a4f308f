"""The tasks of runs: embed(), find_entities(), classify() and answer(), each with what a run must know of it."""

from __future__ import annotations

from sparkclin.runs.run import Task
from sparkclin.schema import ANSWER, CLASSIFY, EMBED, ENTITIES
from sparkclin.stages.vector_rows import INDEX_COLUMNS
from sparkclin.tasks import answers, embed, entities, labels


def embedding(options: embed.EmbedOptions) -> Task:
    """embed() as a task of a run."""
    return Task(
        name=EMBED,
        rows=lambda notes, bundle, observe: embed.embed(notes, bundle=bundle, options=options, observe=observe),
        settings=options.settings,
        index=INDEX_COLUMNS.get(options.level),
        model_task=EMBED,
        needs_spark_nlp=options.needs_spark_nlp,
        least_bytes=options.least_bytes,
    )


def finding(options: entities.NerOptions) -> Task:
    """find_entities() as a task of a run."""
    return Task(
        name=ENTITIES,
        rows=lambda notes, bundle, observe: entities.find_entities(
            notes, bundle=bundle, options=options, observe=observe
        ),
        settings=options.settings,
        index=entities.INDEX,
        model_task=ENTITIES,
    )


def classifying(options: labels.ClassifyOptions) -> Task:
    """classify() as a task of a run."""
    return Task(
        name=CLASSIFY,
        rows=lambda notes, bundle, observe: labels.classify(notes, bundle=bundle, options=options, observe=observe),
        settings=options.settings,
        index=labels.INDEX,
        model_task=CLASSIFY,
    )


def answering(options: answers.QuestionOptions) -> Task:
    """answer() as a task of a run."""
    return Task(
        name=ANSWER,
        rows=lambda notes, bundle, observe: answers.answer(notes, bundle=bundle, options=options, observe=observe),
        settings=options.settings,
        index=answers.INDEX,
        model_task=ANSWER,
    )
