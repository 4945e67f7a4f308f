"""Copy every jar that a session needs into one folder: `python docker/fetch_jars.py FOLDER`.

For clusters without the internet, the image of docker-compose.yml among them. Needs the Maven registry (or what Spark's
own Ivy settings put in its place) and the runtime install. Jars of other operating systems than Linux are left out.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

from pyspark.sql import SparkSession

from sparkclin.spark.session import EXCLUDES, PACKAGES

S3A = ("org.apache.hadoop:hadoop-aws:3.3.4", "com.amazonaws:aws-java-sdk-dynamodb:1.12.500")
"""s3a:// paths. hadoop-aws must be of the version of the Hadoop jars in pyspark. It asks for the whole AWS SDK in one
jar of 280 MB, another version than the parts Spark NLP brings; the one part missing there is named here instead."""

AWS_BUNDLE = "com.amazonaws:aws-java-sdk-bundle"

OTHER_SYSTEMS = ("-macosx-", "-windows-")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the jars go; made if absent, must be empty")
    folder: Path = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        print(f"{folder} is not empty: two versions of a jar must not meet. Name another folder.", file=sys.stderr)
        return 1
    jars = [jar for jar in resolved_jars() if not any(system in jar.name for system in OTHER_SYSTEMS)]
    for jar in jars:
        shutil.copyfile(jar, folder / jar.name)
    print(f"{len(jars)} jars, {sum(jar.stat().st_size for jar in jars) / 1e6:.0f} MB, are in {folder}")
    return 0


def resolved_jars() -> list[Path]:
    """What Ivy finds for our packages, with everything they ask for."""
    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.jars.packages", ",".join((*PACKAGES, *S3A)))
        .config("spark.jars.excludes", ",".join((*EXCLUDES, AWS_BUNDLE)))
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )
    urls = spark.sparkContext.getConf().get("spark.jars", "")
    spark.stop()
    return [Path(urlsplit(url).path) for url in (urls or "").split(",") if url]


if __name__ == "__main__":
    sys.exit(main())
