"""Which Java there is, and whether Spark runs on it. Nothing else reads a Java version."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

JAVA_VERSIONS = (8, 11, 17)
JAVA_REMEDY = "Spark 3.5 needs Java 8, 11 or 17. Install Java 17 (a JRE is enough) and set JAVA_HOME to its folder."


@dataclass(frozen=True, kw_only=True)
class InstalledJava:
    """The `java` that Spark would start: where it was looked for, and its version; None where there is no Java."""

    place: str
    version: str | None

    def problems(self) -> list[str]:
        """What is wrong with it, each with the remedy."""
        if self.version is None:
            return [f"no Java was found {self.place}; {JAVA_REMEDY}"]
        return version_problems(self.version, whose=f"the Java {self.place}")


def installed_java() -> InstalledJava:
    """As Spark's own scripts find it: in JAVA_HOME where that is set, else on PATH."""
    home = os.environ.get("JAVA_HOME")
    place = f"in JAVA_HOME ({home})" if home else "on PATH"
    java = shutil.which(str(Path(home, "bin", "java")) if home else "java")
    return InstalledJava(place=place, version=None if java is None else _version_of(java))


def version_problems(version: str, *, whose: str) -> list[str]:
    """Problems of a version such as 17.0.15 or 1.8.0_392, which is Java 8."""
    digits = re.findall(r"\d+", version)
    major = int(digits[1] if digits[:1] == ["1"] else digits[0]) if digits else None
    return [] if major in JAVA_VERSIONS else [f"{whose} is version {version}; {JAVA_REMEDY}"]


def _version_of(java: str) -> str:
    printed = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "([^"]+)"', printed)
    return found[1] if found else "unknown"
