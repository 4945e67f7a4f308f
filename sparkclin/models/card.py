"""A model for a person to read: what it is, its versions and their sizes, how close it is to the checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sparkclin.errors import ModelError
from sparkclin.models.advice import advice
from sparkclin.models.bundle import Bundle, Manifest
from sparkclin.spark import storage
from sparkclin.text.entities import kinds_of

# The tables of `parity` in a manifest, after the one against the checkpoint.
_TITLES = {
    "packed": "Packed batches against the graph's own vectors",
    "head": "The head against transformers' class",
    "paths": "Each path against the graph's own vectors",
}


def model_card(bundle: Bundle, *, versions: Sequence[Bundle]) -> str:
    """The card of `bundle`; `versions` are those of the same name and language, `bundle` among them.

    Raises OSError where a version's folder cannot be read, and ModelError for parity figures that no export writes.
    """
    sections = [_what_it_is(bundle), _versions(bundle, versions)]
    try:
        sections.append(_parity(bundle.manifest.parity, of=f"{bundle.manifest.engine} {bundle.manifest.precision}"))
        sections += _costs(versions)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
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
        "made from": manifest.source,
        "folder": bundle.location,
        "sha256": f"{bundle.manifest_sha256} (of the manifest; --trust takes it)",
    }
    head = [f"{manifest.name} ({manifest.language})", *([manifest.description] if manifest.description else [])]
    return "\n".join([*head, "", table(list(facts.items()))])


def _gives(manifest: Manifest) -> str:
    if manifest.labels:
        return f"{manifest.task}: {', '.join(kinds_of(manifest.labels))}"
    return f"vectors of {manifest.width:,} numbers"


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


def _parity(parity: Mapping[str, Any], *, of: str) -> str:
    if not parity.get("vectors"):
        return f"Parity of {of}: no figures in the manifest"
    ids = f"{parity['id_rows_identical']} of {parity['id_rows']} texts have the checkpoint's ids"
    parts = [f"Parity of {of}: {ids}", f"Against the checkpoint\n{_figures(parity)}"]
    others = {key: value for key, value in parity.items() if isinstance(value, Mapping) and value.get("limits")}
    parts += [f"{_TITLES.get(key, key)}\n{_figures(value)}" for key, value in others.items() if "vectors" in value]
    if schemes := parity.get("schemes"):
        parts.append(f"What was tried for int8, against fp32's vectors\n{schemes_table(schemes, indent=2)}")
    return "\n\n".join(parts)


def schemes_table(tried: Sequence[Mapping[str, Any]], *, indent: int = 0) -> str:
    """What an export tried for int8, in order, as a manifest has it: the last one was taken, if it has not failed."""
    rows: list[tuple[str, ...]] = [("SCHEME", "PIECES/S", "DOCUMENTS: MEAN", "WORST", "PIECES: MEAN", "WORST", "")]
    for found in tried:
        of_both = (found["documents"], found["pieces"])
        cosines = [f"{agreement[name]:.6f}" for agreement in of_both for name in ("mean_cosine", "worst_cosine")]
        rows.append((found["scheme"], f"{found['pieces_per_s']:,}", *cosines, "" if found["passed"] else "FAILED"))
    return table(rows, indent=indent)


def _figures(figures: Mapping[str, Any]) -> str:
    """The worst figures of each path, and the limits that they are held to."""
    rows: list[tuple[str, ...]] = [("", "WORST |Δ|", "WORST COSINE"), *_worst_by_path(figures["vectors"])]
    limits = figures["limits"]
    if limits:
        allowed = (
            "none" if limits[key] is None else f"{limits[key]:g}" for key in ("max_abs_difference", "min_cosine")
        )
        rows.append(("limit", *allowed))
    return table(rows, indent=2)


def _worst_by_path(vectors: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    for name in dict.fromkeys(row["path"] for row in vectors):
        of_path = [row for row in vectors if row["path"] == name]
        difference = max(row["max_abs_difference"] for row in of_path)
        yield name, f"{difference:.1e}", f"{min(row['min_cosine'] for row in of_path):.13f}"


def _costs(versions: Sequence[Bundle]) -> list[str]:
    """What is not fp32, the newest version of each kind."""
    manifests = {(v.manifest.engine, v.manifest.precision): v.manifest for v in reversed(versions)}
    measured = {kind: manifest.parity["precision"] for kind, manifest in manifests.items() if _is_measured(manifest)}
    return [_cost(figures, *kind) for kind, figures in reversed(measured.items())]


def _is_measured(manifest: Manifest) -> bool:
    return bool(manifest.parity.get("precision"))


def _cost(figures: Mapping[str, Any], engine: str, precision: str) -> str:
    """What a precision costs, on real notes."""
    rows = [("", "VECTORS", "MEAN COSINE", "WORST COSINE")]
    for kind in ("documents", "pieces"):
        found = figures[kind]
        rows.append((kind, f"{found['vectors']:,}", f"{found['mean_cosine']:.5f}", f"{found['worst_cosine']:.5f}"))
    lines = [f"{engine} {precision} against fp32, on {figures['notes']} notes", table(rows, indent=2)]
    if specialty := figures.get("specialty"):
        lines.append(
            "  notes whose nearest note has a specialty in common: "
            f"{specialty['fp32']['nearest']:.3f} in fp32, {specialty['exported']['nearest']:.3f} in {precision}"
        )
    return "\n".join(lines)
