"""Put every jar that a session needs into one folder, S3 support included: `python docker/fetch_jars.py FOLDER`.

For clusters without the internet, the image of docker-compose.yml among them; `sparkclin setup --jars FOLDER` installs
the folder. Needs a Maven registry and the runtime install. Jars of other operating systems than this one are left out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sparkclin.errors import SetupError
from sparkclin.spark.jars import JarManifest, fetch
from sparkclin.spark.settings import EXCLUDES, PACKAGES

S3A = ("org.apache.hadoop:hadoop-aws:3.3.4", "com.amazonaws:aws-java-sdk-dynamodb:1.12.500")
"""s3a:// paths. hadoop-aws must be of the version of the Hadoop jars in pyspark. It asks for the whole AWS SDK in one
jar of 280 MB, another version than the parts Spark NLP brings; the one part missing there is named here instead."""

AWS_BUNDLE = "com.amazonaws:aws-java-sdk-bundle"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the jars go; made if absent, must be empty")
    folder: Path = parser.parse_args(arguments).folder.absolute()
    if folder.exists() and any(folder.iterdir()):
        print(f"{folder} is not empty: two versions of a jar must not meet. Name another folder.", file=sys.stderr)
        return 1
    try:
        fetch(folder, packages=(*PACKAGES, *S3A), excludes=(*EXCLUDES, AWS_BUNDLE))
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    manifest = JarManifest.read(folder)
    print(f"{len(manifest.files)} jars, {manifest.size_mb:.0f} MB, are in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
