"""A model's card for people: its task and labels, its versions and their sizes, its agreement with the checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sparkclin.errors import ModelError
from sparkclin.models.advice import advice
from sparkclin.models.bundle import Bundle, Manifest
from sparkclin.models.label_warnings import label_warnings
from sparkclin.schema import ENTITIES
from sparkclin.spark import storage
from sparkclin.text.entities import kinds_of

# The tables of `parity` in a manifest, after the one against the checkpoint.
_TITLES = {
    "packed": "Packed batches against the graph's own vectors",
    "head": "The head against transformers' class",
    "paths": "Each path against the graph's own vectors",
}


def model_card(bundle: Bundle, *, versions: Sequence[Bundle]) -> str:
    """Return the card of `bundle`; `versions` are all bundles of the same name and language, including `bundle`.

    Raises OSError where a version's folder cannot be read, and ModelError for parity figures that no export writes.
    """
    sections = [_what_it_is(bundle), _warnings(bundle.manifest), _versions(bundle, versions)]
    try:
        sections.append(_parity(bundle.manifest.parity, of=f"{bundle.manifest.engine} {bundle.manifest.precision}"))
        sections += _costs(versions)
    except _NOT_FIGURES as error:
        raise ModelError(
            f"the manifest of {bundle.location}, or of another version of it, has parity figures that no export writes "
            f"({type(error).__name__}). Export the model again."
        ) from None
    return "\n\n".join(filter(None, sections))


def table(rows: Sequence[Sequence[str]], *, indent: int = 0) -> str:
    """Rows of as many cells each, in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(" " * indent + row.rstrip() for row in padded)


def _what_it_is(bundle: Bundle) -> str:
    manifest = bundle.manifest
    facts = {
        "family": manifest.family,
        "reads": f"windows of up to {manifest.max_pieces:,} pieces (subword tokens)",
        "task": manifest.task,
        "gives": _gives(manifest),
        **({"problem": manifest.problem_type} if manifest.problem_type else {}),
        "made from": manifest.source,
        **({"tokenizer": manifest.tokenizer_source} if manifest.tokenizer_source else {}),
        "folder": bundle.location,
        "sha256": f"{bundle.manifest_sha256} (of the manifest; --trust takes it)",
    }
    head = [f"{manifest.name} ({manifest.language})", *([manifest.description] if manifest.description else [])]
    return "\n".join([*head, "", table(list(facts.items()))])


def _gives(manifest: Manifest) -> str:
    if manifest.task == ENTITIES:
        return f"entities: {', '.join(kinds_of(manifest.labels))}"
    if manifest.labels:
        return f"labels: {', '.join(manifest.labels)}"
    return f"vectors of {manifest.width:,} numbers"


def _warnings(manifest: Manifest) -> str:
    problem_type = manifest.config.get("problem_type")
    found = label_warnings(task=manifest.task, labels=manifest.labels, problem_type=problem_type)
    return "\n".join(f"Warning: {warning}" for warning in found)


def _versions(bundle: Bundle, versions: Sequence[Bundle]) -> str:
    rows = [("", "ENGINE", "PRECISION", "CREATED", "SIZE", "FOLDER")]
    for version in versions:
        manifest = version.manifest
        mark = ">" if version.location == bundle.location else ""
        size = f"{storage.size_of(version.location) / 1e6:,.1f} MB"
        folder = version.location.rpartition("/")[2]
        rows.append((mark, manifest.engine, manifest.precision, manifest.created, size, folder))
    shown = f"Versions (> is the one described here)\n{table(rows)}"
    said = advice(engine=bundle.manifest.engine, precision=bundle.manifest.precision)
    return f"{shown}\n{said}" if said else shown


@dataclass(frozen=True, kw_only=True)
class Figures:
    """A table of a card; `rows` have as many cells as `head`, and `remark` stands below."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    remark: str = ""

    def __str__(self) -> str:
        lines = [self.title, table([self.head, *self.rows], indent=2)]
        return "\n".join([*lines, *([f"  {self.remark}"] if self.remark else [])])


def worst_figures(parity: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a manifest with one row per path, the worst of all lengths; none where no export writes such."""
    try:
        worst = _worst(parity)
        parity_figures(worst)
        precision_figures(worst, engine="", precision="")
    except _NOT_FIGURES:
        return {}
    return worst


def parity_figures(parity: Mapping[str, Any]) -> list[Figures]:
    """Against the checkpoint, by path; then whatever else an export compared, and tried."""
    if not parity.get("vectors"):
        return []
    others = {key: value for key, value in parity.items() if isinstance(value, Mapping) and value.get("limits")}
    found = [_by_path(parity, title="Against the checkpoint")]
    found += [_by_path(value, title=_TITLES.get(key, key)) for key, value in others.items() if "vectors" in value]
    return found + ([_schemes(parity["schemes"])] if parity.get("schemes") else [])


def precision_figures(parity: Mapping[str, Any], *, engine: str, precision: str) -> list[Figures]:
    """Return the cost of a precision on real notes, if it was measured."""
    return [_cost(parity["precision"], engine, precision)] if parity.get("precision") else []


_NOT_FIGURES = (KeyError, TypeError, AttributeError, ValueError)


def _worst(parity: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables with the worst figure per path in each list of vectors."""
    rows: dict[str, Any] = {}
    for key, value in parity.items():
        if key == "vectors" and isinstance(value, list):
            rows[key] = [
                {"path": path, "max_abs_difference": difference, "min_cosine": cosine}
                for path, difference, cosine in _worst_by_path(value)
            ]
        else:
            rows[key] = _worst(value) if isinstance(value, Mapping) else value
    return rows


def _parity(parity: Mapping[str, Any], *, of: str) -> str:
    if not parity.get("vectors"):
        return f"Parity of {of}: no figures in the manifest"
    return "\n\n".join([f"Parity of {of}: {same_ids(parity)}", *map(str, parity_figures(parity))])


def same_ids(parity: Mapping[str, Any]) -> str:
    return f"{parity['id_rows_identical']} of {parity['id_rows']} texts have the checkpoint's ids"


def _schemes(tried: Sequence[Mapping[str, Any]]) -> Figures:
    """Return the table of the schemes that an export tried for int8, in order. The last one was taken unless it
    failed."""
    rows: list[tuple[str, ...]] = []
    for found in tried:
        of_both = (found["documents"], found["pieces"])
        cosines = [f"{agreement[name]:.6f}" for agreement in of_both for name in ("mean_cosine", "worst_cosine")]
        rows.append((found["scheme"], f"{found['pieces_per_s']:,}", *cosines, "" if found["passed"] else "FAILED"))
    return Figures(
        title="Schemes tried for int8, against fp32's vectors",
        head=("SCHEME", "PIECES/S", "DOCUMENTS: MEAN", "WORST", "PIECES: MEAN", "WORST", ""),
        rows=tuple(rows),
    )


def schemes_table(tried: Sequence[Mapping[str, Any]]) -> str:
    """The schemes that were tried, as an export prints them."""
    figures = _schemes(tried)
    return table([figures.head, *figures.rows])


def _by_path(figures: Mapping[str, Any], *, title: str) -> Figures:
    """The worst figures of each path, and the limits that they are held to."""
    rows: list[tuple[str, ...]] = [
        (name, f"{difference:.1e}", f"{cosine:.13f}") for name, difference, cosine in _worst_by_path(figures["vectors"])
    ]
    limits = figures["limits"]
    if limits:
        allowed = ["none" if limits[key] is None else f"{limits[key]:g}" for key in _LIMITS]
        rows.append(("limit", *allowed))
    return Figures(title=title, head=("", "WORST |Δ|", "WORST COSINE"), rows=tuple(rows))


_LIMITS = ("max_abs_difference", "min_cosine")


def _worst_by_path(vectors: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, float, float]]:
    """Path, greatest difference, least cosine."""
    for name in dict.fromkeys(row["path"] for row in vectors):
        of_path = [row for row in vectors if row["path"] == name]
        yield name, max(row["max_abs_difference"] for row in of_path), min(row["min_cosine"] for row in of_path)


def _costs(versions: Sequence[Bundle]) -> list[str]:
    """Return the costs of the newest version of each kind that is not fp32."""
    manifests = {(v.manifest.engine, v.manifest.precision): v.manifest for v in reversed(versions)}
    found = [precision_figures(m.parity, engine=m.engine, precision=m.precision) for m in manifests.values()]
    return [str(figures) for of_kind in reversed(found) for figures in of_kind]


def _cost(figures: Mapping[str, Any], engine: str, precision: str) -> Figures:
    """Return the cost of a precision on real notes."""
    rows = []
    for kind in ("documents", "pieces"):
        found = figures[kind]
        rows.append((kind, f"{found['vectors']:,}", f"{found['mean_cosine']:.5f}", f"{found['worst_cosine']:.5f}"))
    remark = ""
    if specialty := figures.get("specialty"):
        remark = (
            "notes whose nearest note has a specialty in common: "
            f"{specialty['fp32']['nearest']:.3f} in fp32, {specialty['exported']['nearest']:.3f} in {precision}"
        )
    return Figures(
        title=f"{engine} {precision} against fp32, on {figures['notes']} notes",
        head=("", "VECTORS", "MEAN COSINE", "WORST COSINE"),
        rows=tuple(rows),
        remark=remark,
    )
