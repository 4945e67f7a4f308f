"""Which models may run: pinned by the SHA-256 of their manifests, by `--trust` and by $SPARKCLIN_TRUST."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from sparkclin.errors import ModelError, OptionError
from sparkclin.spark import storage

TRUST_VARIABLE = "SPARKCLIN_TRUST"

BYTE_ORDER_MARK = "\ufeff"

SHA256 = re.compile(r"[0-9a-f]{64}")


def check_trusted(sha256: str, *, location: str, trust: Sequence[str], by: str = "--trust") -> None:
    """Raises ModelError for a bundle at `location` whose manifest's SHA-256 is not among `trust`, if that names any.

    Each of `trust` is a digest, or a file of them (`trusted_digests()`). `by` is what said so.
    """
    if trust and not any(sha256 in trusted_digests(given, by=by) for given in trust):
        raise ModelError(
            f"{location} is not among the models that {by} names: the SHA-256 of its manifest is {sha256}. If this is "
            f"the model that you mean to run, pin it: --trust {sha256}"
        )


def check_variable(sha256: str, *, location: str) -> None:
    """As check_trusted(), by the variable, which holds for all models that this process loads. Raises OptionError where
    it is blank: that stands for nobody, or for everybody."""
    given = os.environ.get(TRUST_VARIABLE)
    if given is not None and not given.strip():
        raise OptionError(f"${TRUST_VARIABLE} is set and names no model to trust. Name one, or unset it to trust all.")
    check_trusted(sha256, location=location, trust=(given or "").split(), by=f"${TRUST_VARIABLE}")


def trusted_digests(given: str, *, by: str) -> frozenset[str]:
    """The one that is given, or those of a file: one begins each line, as in what `sha256sum` prints; what is behind it
    and behind a `#` is left out. Raises OptionError for what is neither."""
    if SHA256.fullmatch(given.lower()):
        return frozenset([given.lower()])
    try:
        lines = storage.read_text(given).removeprefix(BYTE_ORDER_MARK).splitlines()
    except UnicodeDecodeError:
        raise OptionError(f"{by} {given!r} is a file that is no UTF-8: expected a SHA-256 in each line.") from None
    except OSError as error:
        raise OptionError(
            f"{by} {given!r} is neither a SHA-256 of 64 hex digits nor a file of them that can be read ({error})."
        ) from None
    words = {number: line.partition("#")[0].split() for number, line in enumerate(lines, start=1)}
    digests = {number: first.lower() for number, (first, *_) in ((n, w) for n, w in words.items() if w)}
    if wrong := [str(number) for number, digest in digests.items() if not SHA256.fullmatch(digest)]:
        raise OptionError(f"{given}, line {', '.join(wrong)}: expected a SHA-256 of 64 hex digits first, or a comment.")
    if not digests:
        raise OptionError(f"{given} names no model to trust: expected a SHA-256 of 64 hex digits in a line.")
    return frozenset(digests.values())
