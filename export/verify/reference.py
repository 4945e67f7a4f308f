"""Ids to compare with: the checkpoint's own Hugging Face tokenizer. Vectors to compare with are the family's part."""

from __future__ import annotations

from collections.abc import Sequence

from sparkclin.export.checkpoint import Checkpoint


def reference_ids(checkpoint: Checkpoint, texts: Sequence[str]) -> list[list[int]]:
    """The Hugging Face tokenizer's ids, special pieces included; special pieces typed in a text count as text."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder, use_fast=True, trust_remote_code=False)
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.encode_special_tokens = True
    return [encoding.ids for encoding in tokenizer.backend_tokenizer.encode_batch(list(texts))]
