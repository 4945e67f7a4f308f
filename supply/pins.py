"""`python -m supply.pins`, or `make pins`: write sparkclin/spark/jars.sha256, the jars that sparkclin may use.

Needs a Maven registry. Ivy compares what it gets with the registry's own checksums, which are all that vouches for a
jar at this moment; from then on it is the file, so read its difference before you commit it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from docker.fetch_jars import AWS_BUNDLE, S3A
from sparkclin.errors import SetupError
from sparkclin.hashing import sha256_of_file
from sparkclin.spark.jars import PINS, resolved
from sparkclin.spark.settings import EXCLUDES, PACKAGES

HEADER = """\
# SHA-256 of the jars that sparkclin may use, of all operating systems and with those for S3; written by `make pins`.
# To compare a folder: (cd FOLDER && sha256sum --check --ignore-missing) < jars.sha256
"""


def main() -> int:
    try:
        found = hashes(PACKAGES, EXCLUDES) | hashes((*PACKAGES, *S3A), (*EXCLUDES, AWS_BUNDLE))
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    PINS.write_text(HEADER + "".join(f"{found[name]}  {name}\n" for name in sorted(found)), encoding="utf-8")
    print(f"{len(found)} jars are pinned in {PINS}")
    return 0


def hashes(packages: Sequence[str], excludes: Sequence[str]) -> dict[str, str]:
    """The SHA-256 of every jar that the packages need, by its name."""
    with resolved(packages, excludes) as jars:
        return {jar.name: sha256_of_file(jar) for jar in jars}


if __name__ == "__main__":
    sys.exit(main())
