"""Jars and packages that are not the pinned ones; the lock files and the bill of materials."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sparkclin.errors import SetupError
from sparkclin.hashing import sha256_of_file
from sparkclin.spark import jars
from sparkclin.spark.jars import (
    MANIFEST,
    JarManifest,
    environment_jars,
    jar_paths,
    pinned_hashes,
    set_up_jars,
)
from sparkclin.spark.settings import PACKAGES, installed_defaults_conf, spark_env, spark_home
from tests.sparkclin.processes import clean_environment

ROOT = Path(__file__).parents[2]
LOCKS = {"build": ROOT / "requirements/build.txt"} | {
    extra: ROOT / f"requirements/{extra}.txt" for extra in ("runtime", "openvino", "map")
}
SMALL = "com.zaxxer_SparseBitSet-1.2.jar"
REFUSED = "are not as `sparkclin setup` left them"


@dataclass(frozen=True)
class Environment:
    """Another environment with the packages of this one, jars of its own, and Spark's configuration as setup writes
    it."""

    folder: Path

    @property
    def jars(self) -> Path:
        return self.folder / "share" / "sparkclin" / "jars"

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        variables = os.environ | {"SPARK_CONF_DIR": str(self.folder / "conf"), "PYTHONPATH": str(ROOT)}
        for variable in ("SPARK_DIST_CLASSPATH", "SPARK_ENV_LOADED"):
            variables.pop(variable, None)
        return subprocess.run(command, env=variables, cwd=self.folder, capture_output=True, text=True, check=False)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    made = Environment(tmp_path / "environment")
    venv.create(made.folder, symlinks=True)
    (site_packages,) = made.folder.glob("lib/python*/site-packages")
    (site_packages / "borrowed.pth").write_text("\n".join(entry for entry in sys.path if "site-packages" in entry))
    made.jars.mkdir(parents=True)
    for jar in jar_paths(environment_jars()):
        (made.jars / jar.name).symlink_to(jar)
    shutil.copy(environment_jars() / MANIFEST, made.jars)
    (made.folder / "conf").mkdir()
    (made.folder / "conf" / "spark-defaults.conf").write_text(installed_defaults_conf())
    (made.folder / "conf" / "spark-env.sh").write_text(spark_env(made.jars, python=made.python))
    return made


def alter(folder: Path) -> None:
    """One byte, so that size and name stay."""
    content = bytearray((folder / SMALL).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / SMALL).unlink()
    (folder / SMALL).write_bytes(content)


def alter_with_its_manifest(folder: Path) -> None:
    """As somebody would who knows the manifest."""
    alter(folder)
    manifest = JarManifest.read(folder)
    files = tuple(
        replace(file, sha256=sha256_of_file(folder / SMALL)) if file.name == SMALL else file for file in manifest.files
    )
    (folder / MANIFEST).write_text(replace(manifest, files=files).to_json())


def add(folder: Path) -> None:
    with zipfile.ZipFile(folder / "a.jar", "w") as archive:
        archive.writestr("META-INF/services/org.apache.hadoop.fs.FileSystem", "a.FileSystem")


def remove(folder: Path) -> None:
    (folder / SMALL).unlink()


HARMS = [
    (alter, f"{SMALL}: changed"),
    (alter_with_its_manifest, f"{SMALL}: its SHA-256 is "),
    (add, "a.jar: not in the manifest"),
    (remove, f"{SMALL}: missing"),
]


@pytest.mark.parametrize(("harm", "message"), HARMS)
def test_no_jvm_starts_with_a_jar_that_is_not_the_pinned_one(
    environment: Environment, harm: Callable[[Path], None], message: str
) -> None:
    harm(environment.jars)
    done = environment.run(spark_home() / "bin" / "spark-submit", "--version")
    assert done.returncode == 1
    assert message in done.stderr
    assert REFUSED in done.stderr
    assert len(done.stderr.splitlines()) == 1, "a JVM, or Python, said something too"


def test_spark_starts_with_the_pinned_jars(environment: Environment) -> None:
    done = environment.run(spark_home() / "bin" / "spark-submit", "--version")
    assert (done.returncode, "Welcome to" in done.stderr) == (0, True), done.stderr
    assert done.stdout == ""


def test_a_command_that_brings_its_own_spark_nlp_has_nothing_of_ours_to_check(environment: Environment) -> None:
    alter(environment.jars)
    own = environment.run(spark_home() / "bin" / "spark-submit", "--jars", "/their/spark-nlp-assembly.jar", "--version")
    assert own.returncode == 0, own.stderr


def test_a_session_from_python_starts_no_jvm_with_an_altered_jar(environment: Environment) -> None:
    alter(environment.jars)
    script = "import sparkclin\ntry:\n sparkclin.spark_session()\nexcept sparkclin.SparkclinError as e:\n print(e)"
    done = environment.run(environment.python, "-c", script)
    assert f"{REFUSED}: {SMALL}: changed" in done.stdout
    assert done.stderr == ""


def test_setup_check_tells_without_a_change(environment: Environment) -> None:
    whole = environment.run(environment.python, "-m", "sparkclin", "setup", "--check")
    assert re.fullmatch(r"\d+ jars, \d+ MB, are there, with the pinned SHA-256\n", whole.stdout)
    alter(environment.jars)
    assert environment.run(environment.python, "-m", "sparkclin", "setup", "--check").returncode == 1
    assert sha256_of_file(environment.jars / SMALL) != pinned_hashes()[SMALL]


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Gives one jar, and another one than the pinned."""
    folder = tmp_path / "ivy"
    folder.mkdir()
    shutil.copy(environment_jars() / SMALL, folder)
    alter(folder)
    monkeypatch.setattr(jars, "_resolve", lambda *_, **__: list(folder.glob("*.jar")))
    monkeypatch.setenv("HOME", str(tmp_path))
    return folder


def test_a_jar_of_a_mirror_that_is_not_the_pinned_one_is_refused_when_fetched(mirror: Path, tmp_path: Path) -> None:
    folder = tmp_path / "share" / "jars"
    with pytest.raises(SetupError, match=rf"{SMALL}: its SHA-256 is \w+, expected {pinned_hashes()[SMALL]}"):
        set_up_jars(folder)
    assert not folder.exists()
    assert mirror.exists()


def test_a_jar_that_nobody_pinned_is_refused_when_fetched(mirror: Path, tmp_path: Path) -> None:
    (mirror / SMALL).rename(mirror / "another_one-1.0.jar")
    with pytest.raises(SetupError, match=r"another_one-1\.0\.jar: its SHA-256 is \w+, expected no such jar"):
        set_up_jars(tmp_path / "share" / "jars")


def test_a_copied_folder_whose_manifest_was_altered_too_is_refused(environment: Environment, tmp_path: Path) -> None:
    alter_with_its_manifest(environment.jars)
    with pytest.raises(SetupError, match=f"cannot be used: {SMALL}: its SHA-256 is"):
        set_up_jars(tmp_path / "share" / "jars", source=environment.jars)
    assert not (tmp_path / "share" / "jars").exists()


def test_the_jars_of_the_settings_are_pinned() -> None:
    names = {"{}_{}-{}.jar".format(*package.split(":")) for package in PACKAGES}
    assert names <= pinned_hashes().keys()
    assert {len(sha256) for sha256 in pinned_hashes().values()} == {64}


def requirements(lock: Path) -> dict[str, list[str]]:
    """The lines of a lock file, as `name==version`, each with its hashes."""
    text = re.sub(r"\s*#.*", "", lock.read_text(encoding="utf-8")).replace("\\\n", " ")
    return {words[0]: words[1:] for line in text.splitlines() if (words := line.split())}


def normal(requirement: str) -> str:
    return requirement.lower().replace("_", "-")


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_of_a_lock_file_has_hashes_and_the_version_of_the_constraints(lock: str) -> None:
    locked = requirements(LOCKS[lock])
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert locked.keys() <= {normal(line) for line in lines}
    assert [line for line, hashes in locked.items() if not hashes] == []
    assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", word) for hashes in locked.values() for word in hashes)


def test_the_lock_files_have_what_pyproject_asks_for() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project, asked = pyproject["project"], requirements(LOCKS["runtime"])
    assert set(pyproject["build-system"]["requires"]) == requirements(LOCKS["build"]).keys()
    assert set(project["dependencies"]) <= asked.keys()
    for extra in ("openvino", "map"):
        locked = requirements(LOCKS[extra])
        assert asked.items() <= locked.items()
        assert set(project["optional-dependencies"][extra]) <= locked.keys()


def test_a_package_that_is_not_the_locked_one_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "a_package-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("a_package-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: a-package\nVersion: 1.0\n")
        archive.writestr("a_package-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    lock, pip = tmp_path / "lock.txt", [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index"]
    outcomes = []
    for sha256 in (sha256_of_file(wheel), "0" * 64):
        lock.write_text(f"a-package==1.0 --hash=sha256:{sha256}\n")
        command = [*pip, "--find-links", str(tmp_path), "--require-hashes", "-r", str(lock)]
        outcomes.append(subprocess.run(command, capture_output=True, text=True, check=False))
    assert [done.returncode for done in outcomes] == [0, 1]
    assert "DO NOT MATCH THE HASHES" in outcomes[1].stderr


def test_an_audit_understands_its_options() -> None:
    """Without asking the service, which not every machine reaches."""
    pytest.importorskip("pip_audit", reason="the lint extra is not installed")
    dry = ["make", "--dry-run", "--always-make", "audit"]
    recipe = subprocess.run(dry, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=True).stdout
    program, *options = shlex.split(recipe.strip().splitlines()[-1])
    assert (program, "--strict" in options) == (".venv/bin/pip-audit", True)
    audit = [sys.executable, "-m", "pip_audit", "--dry-run", "--progress-spinner", "off", *options]
    done = subprocess.run(audit, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"would have audited {len(requirements(LOCKS['openvino']))} packages" in done.stderr


def test_the_bill_of_materials_is_valid_and_whole(tmp_path: Path) -> None:
    sbom = pytest.importorskip("supply.sbom", reason="the lint extra is not installed")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    packages, written = tmp_path / "packages.cdx.json", tmp_path / "sbom" / "sparkclin.cdx.json"
    tool = [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", "--pyproject", "pyproject.toml"]
    subprocess.run([*tool, "-o", packages, LOCKS["openvino"]], cwd=ROOT, check=True)
    assert sbom.main([str(packages), str(written)]) == 0

    text = written.read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bom = json.loads(text)
    assert bom["metadata"]["component"]["name"] == "sparkclin"
    python = {c["purl"].removeprefix("pkg:pypi/").replace("@", "==") for c in bom["components"] if "pypi" in c["purl"]}
    assert python == requirements(LOCKS["openvino"]).keys()
    ours = {c["bom-ref"]: c["hashes"] for c in bom["components"] if "maven" in c["purl"]}
    assert ours == {name: [{"alg": "SHA-256", "content": sha}] for name, sha in pinned_hashes().items()}
    (root,) = [d for d in bom["dependencies"] if d["ref"] == bom["metadata"]["component"]["bom-ref"]]
    assert len(root["dependsOn"]) == len(bom["components"])


def test_the_coordinates_in_the_bill_are_those_that_the_jars_say() -> None:
    sbom = pytest.importorskip("supply.sbom", reason="the lint extra is not installed")
    compared = 0
    for jar in jar_paths(environment_jars()):
        found = coordinates_of(sbom.jar_component(jar.name, "0" * 64))
        said = coordinates(jar)
        compared += bool(said)
        assert not said or found in said, f"{jar.name}: {found}, expected one of {said}"
    assert compared > 50


def coordinates_of(component: object) -> tuple[str, ...]:
    return tuple(getattr(component, key) for key in ("group", "name", "version"))


def coordinates(jar: Path) -> set[tuple[str, ...]]:
    """Group, artifact and version in a jar's pom.properties, of which it may have several, or none."""
    found = set()
    with zipfile.ZipFile(jar) as archive:
        for name in archive.namelist():
            if re.fullmatch(r"META-INF/maven/.*/pom\.properties", name):
                lines = archive.read(name).decode("utf-8").splitlines()
                said = dict(line.split("=", 1) for line in lines if "=" in line)
                found.add(tuple(said[key].strip() for key in ("groupId", "artifactId", "version")))
    return found
