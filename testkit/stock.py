"""A bundle as Spark NLP's own users have it: by name from Python, and by its folder from the JVM."""

from __future__ import annotations

from typing import Any

import pytest
import sparknlp.annotator
from pyspark.sql import DataFrame, SparkSession

import sparkclin
from sparkclin.models.bundle import Bundle

JVM_PACKAGE = "com.johnsnowlabs.nlp.annotators.classifier.dl"


def by_name(spark: SparkSession, bundle: Bundle) -> Any:
    """What stock `pretrained(name, language)` gives, and what it was saved with."""
    sparkclin.use_models(spark, bundle.location.rpartition("/")[0])
    annotator = getattr(sparknlp.annotator, bundle.manifest.annotator)
    return annotator.pretrained(bundle.manifest.name, bundle.manifest.language)


def by_jvm(spark: SparkSession, bundle: Bundle, frame: DataFrame) -> DataFrame:
    """What a classifier of the JVM makes of a DataFrame, loaded from the bundle's folder by `.load(path)`."""
    package: Any = spark._jvm
    for part in JVM_PACKAGE.split("."):
        package = getattr(package, part)
    loaded = getattr(package, bundle.manifest.annotator).load(bundle.url)
    return DataFrame(loaded.transform(frame._jdf), spark)


def needs_stock(bundle: Bundle) -> None:
    """Skips a test where Spark NLP has no annotator for the bundle."""
    if not bundle.manifest.annotator:
        pytest.skip(f"Spark NLP does not run {bundle.manifest.engine}")
