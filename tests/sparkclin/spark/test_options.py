from __future__ import annotations

import pytest

from sparkclin.errors import OptionError
from sparkclin.spark.options import SessionOptions


@pytest.mark.parametrize(
    "master",
    [
        "local",
        "local[4]",
        "local[*]",
        "local[2, 3]",
        "local[*,2]",
        "spark://a:7077,b:7077",
        "yarn",
        "k8s://https://a:443",
    ],
)
def test_what_spark_knows_is_a_master(master: str) -> None:
    assert SessionOptions(master=master).as_settings() == {"spark.master": master}


@pytest.mark.parametrize("master", ["", "local[0]", "local[]", "Local", "yarn-client", "spark://", "localhost"])
def test_what_it_does_not_is_refused(master: str) -> None:
    with pytest.raises(OptionError, match="is none that Spark knows: local"):
        SessionOptions(master=master)


@pytest.mark.parametrize("size", ["8g", "900m", "1T", "2gb"])
def test_a_size_of_memory(size: str) -> None:
    settings = SessionOptions(driver_memory=size, settings={"spark.driver.memory": "1g", "a": "b"}).as_settings()
    assert settings == {"spark.driver.memory": size, "a": "b"}


@pytest.mark.parametrize("size", ["", "8", "0g", "8 g", "much"])
def test_what_is_no_size_is_refused(size: str) -> None:
    with pytest.raises(OptionError, match="is no size of memory"):
        SessionOptions(driver_memory=size)
