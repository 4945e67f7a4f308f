"""`make sbom`: one bill of materials (CycloneDX 1.6, JSON) of the Python packages and the jars.

`cyclonedx-py` reads the packages from the lock file; the jars are those of sparkclin/spark/jars.sha256, added here.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from sparkclin.spark.jars import pinned_hashes

JAR = re.compile(
    r"(?P<group>[^_]+)_(?P<artifact>.+?)-(?P<version>(v\d+-rev\d+-)?\d.*?)"
    r"(-(?P<classifier>(linux|macosx|windows)-\w+))?\.jar"
)
"""How Ivy names a jar. Versions of Google's API clients are such as v1-rev20220705-2.0.0."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("packages", type=Path, help="what cyclonedx-py wrote")
    parser.add_argument("output", type=Path)
    options = parser.parse_args(arguments)
    bom = with_jars(options.packages, pinned_hashes())
    written = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(written + "\n", encoding="utf-8")
    print(f"{len(bom.components)} components are in {options.output}")
    return 0


def with_jars(packages: Path, pinned: Mapping[str, str]) -> Bom:
    """The bill of the packages with the jars, by their names and hashes; all of them are what sparkclin depends on."""
    bom: Bom = Bom.from_json(json.loads(packages.read_text(encoding="utf-8")))  # type: ignore[attr-defined]
    bom.components.update(jar_component(name, sha256) for name, sha256 in pinned.items())
    assert bom.metadata.component is not None
    bom.register_dependency(bom.metadata.component, bom.components)
    return bom


def jar_component(name: str, sha256: str) -> Component:
    found = JAR.fullmatch(name)
    assert found is not None, name
    qualifiers = {"type": "jar"} | ({"classifier": found["classifier"]} if found["classifier"] else {})
    return Component(
        type=ComponentType.LIBRARY,
        bom_ref=name,
        group=found["group"],
        name=found["artifact"],
        version=found["version"],
        purl=PackageURL("maven", found["group"], found["artifact"], found["version"], qualifiers),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
    )


if __name__ == "__main__":
    sys.exit(main())
