"""Make `.venv/bin/spark-submit` of a pip-installed pyspark work as typed: `sparkclin setup`.

pip's own launcher looks for `python3` on PATH to find Spark, and Spark runs `python3` again for the workers; where the
environment is not activated, both are another Python. And pip's pyspark comes without a `conf/` folder.
"""

from __future__ import annotations

import re
import shlex
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from sparkclin.errors import SetupError
from sparkclin.hashing import sha256_of_text
from sparkclin.spark.jars import environment_jars
from sparkclin.spark.java import JAVA_REMEDY
from sparkclin.spark.logs import LOGGING
from sparkclin.spark.settings import installed_defaults_conf, spark_env
from sparkclin.spark.storage import write_text

_SIGNATURE = "# Written by `sparkclin setup`; SHA-256 of what follows: "


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A pip-installed pyspark: its folder, the environment's `spark-submit` and the environment's Python."""

    spark_home: Path
    launcher: Path
    python: Path


def find_installation() -> Installation:
    """The pyspark of the running environment; raises SetupError where it is none that pip installed there."""
    import pyspark

    home = Path(pyspark.__file__).resolve().parent
    launcher = Path(sysconfig.get_path("scripts"), "spark-submit")
    if not (home.is_relative_to(Path(sys.prefix).resolve()) and (home / "jars").is_dir() and launcher.is_file()):
        raise SetupError(
            f"the pyspark in use ({home}) was not installed by pip into this environment ({sys.prefix}); setup "
            "changes no other. On a cluster, put the lines of `sparkclin spark-defaults` into its spark-defaults.conf."
        )
    return Installation(spark_home=home, launcher=launcher, python=Path(sys.executable))


def set_up(installation: Installation, *, force: bool = False) -> list[Path]:
    """Write the three files of Spark's `conf/` and a spark-submit for this environment; returns their paths.

    Running it again changes nothing. Raises SetupError, before anything is written, where one of the files was written
    or edited by somebody else; `force` replaces it.
    """
    check_replaceable(installation, force=force)
    texts = _texts(installation)
    (installation.spark_home / "conf").mkdir(exist_ok=True)
    for path, text in texts.items():
        write_text(path, text, mode=0o755 if path == installation.launcher else 0o644)
    return list(texts)


def check_replaceable(installation: Installation, *, force: bool = False) -> None:
    """Raise SetupError where one of the files of set_up() was written or edited by somebody else, unless `force`."""
    foreign = [str(path) for path in _texts(installation) if not (force or _may_replace(path, installation))]
    if foreign:
        raise SetupError(
            f"not as `sparkclin setup` writes them: {', '.join(foreign)}. Give your own settings to spark-submit with "
            "--conf or --properties-file, or replace these files by `sparkclin setup --force`."
        )


def _texts(installation: Installation) -> dict[Path, str]:
    conf = installation.spark_home / "conf"
    return {
        conf / "spark-defaults.conf": _signed(installed_defaults_conf()),
        conf / "spark-env.sh": _signed(spark_env(environment_jars(), python=installation.python)),
        conf / "log4j2.properties": _signed(LOGGING),
        installation.launcher: "#!/bin/sh\n" + _signed(_launcher(installation)),
    }


def _launcher(installation: Installation) -> str:
    return f"""
# Runs this environment's Spark with this environment's Python, activated or not.
if [ -z "${{JAVA_HOME:-}}" ] && ! command -v java >/dev/null; then
  echo {shlex.quote(f"no Java was found on PATH; {JAVA_REMEDY}")} >&2
  exit 1
fi
export SPARK_HOME={shlex.quote(str(installation.spark_home))}
[ -n "${{PYSPARK_PYTHON:-}}" ] || export PYSPARK_PYTHON={shlex.quote(str(installation.python))}
exec "$SPARK_HOME/bin/spark-submit" "$@"
"""


def _signed(text: str) -> str:
    return f"{_SIGNATURE}{sha256_of_text(text)}\n{text}"


def _may_replace(path: Path, installation: Installation) -> bool:
    """Whether `path` is absent, pip's own launcher, or just as some `sparkclin setup` wrote it."""
    if not path.exists():
        return True
    text = path.read_text(encoding="utf-8", errors="replace")
    if path == installation.launcher and text == (installation.spark_home / "bin" / "spark-submit").read_text("utf-8"):
        return True
    signed = re.search(rf"^{re.escape(_SIGNATURE)}(\w+)\n", text, flags=re.MULTILINE)
    return signed is not None and signed[1] == sha256_of_text(text[signed.end() :])
