"""What may be asked of a new Spark session, checked before there is a JVM to ask."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sparkclin.errors import OptionError

MASTER = re.compile(
    r"local(\[(\*|[1-9]\d*)(,\s*[1-9]\d*)?\])?|local-cluster\[.+\]|yarn|(spark|k8s|mesos)://\S+", flags=re.ASCII
)
"""The masters that Spark 3.5 knows."""

ONE_PROCESS = re.compile(r"local(\[.*\])?")
"""The masters with which driver and tasks are processes of this machine."""

MEMORY = re.compile(r"[1-9]\d*[kmgt]b?", flags=re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, kw_only=True)
class SessionOptions:
    """The arguments of spark_session() by their names. Raises OptionError for a master that Spark does not know, and
    for what Java does not take for a size of memory."""

    master: str | None = None
    driver_memory: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.master is not None and not MASTER.fullmatch(self.master):
            raise OptionError(
                f"--master {self.master!r} is none that Spark knows: local[*], local[4], spark://HOST:PORT, yarn, "
                "k8s://HOST:PORT."
            )
        if self.driver_memory is not None and not MEMORY.fullmatch(self.driver_memory):
            raise OptionError(f"--driver-memory {self.driver_memory!r} is no size of memory, such as 8g or 900m.")

    def as_settings(self) -> dict[str, str]:
        """By the names of Spark's settings."""
        named = {"spark.master": self.master, "spark.driver.memory": self.driver_memory}
        return {**self.settings, **{key: value for key, value in named.items() if value is not None}}
