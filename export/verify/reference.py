"""Reference ids from the checkpoint's own Hugging Face tokenizer; the family computes the reference vectors."""

from __future__ import annotations

from collections.abc import Sequence

from sparkclin.export.checkpoint import Checkpoint


def reference_ids(checkpoint: Checkpoint, texts: Sequence[str]) -> list[list[int]]:
    """Return the Hugging Face tokenizer's ids with special pieces. Special pieces typed in a text count as text."""
    tokenizer = checkpoint.fast_tokenizer()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    return [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
