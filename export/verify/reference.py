"""What the export is compared with: the checkpoint's own Hugging Face tokenizer, and `transformers` in fp32."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from export.checkpoint import Checkpoint
from export.engines import Ids, Vectors
from export.errors import ParityError
from export.families import longformer
from export.graph.encoder import EncoderConfig

# ids, mask (R, P) -> vectors (R, P, W)
Reference = Callable[[Ids, Ids], Vectors]


def reference_ids(checkpoint: Checkpoint, texts: Sequence[str]) -> list[list[int]]:
    """The Hugging Face tokenizer's ids, special pieces included; special pieces typed in a text count as text."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder, use_fast=True, trust_remote_code=False)
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.encode_special_tokens = True
    return [encoding.ids for encoding in tokenizer.backend_tokenizer.encode_batch(list(texts))]


def reference_model(checkpoint: Checkpoint, config: EncoderConfig) -> Reference:
    """transformers' LongformerModel in fp32, filled from the tensors that were read."""
    import torch
    from transformers import LongformerConfig, LongformerModel

    model = LongformerModel(LongformerConfig.from_dict(checkpoint.config), add_pooling_layer=False)
    model.train(False)
    tensors = longformer.account_for(checkpoint, config)
    result = model.load_state_dict({name: torch.from_numpy(array) for name, array in tensors.items()}, strict=False)
    unfilled = [name for name in result.missing_keys if "_global" not in name]
    if unfilled or result.unexpected_keys:
        raise ParityError(f"transformers' model has other tensors: {unfilled + result.unexpected_keys}.")

    # transformers pads to the widest window itself, but then fails where another layer's window does not divide that.
    multiple = math.lcm(*(2 * reach for reach in config.reach))

    def run(ids: Ids, mask: Ids) -> Vectors:
        padding = ((0, 0), (0, -ids.shape[1] % multiple))
        padded_ids = torch.from_numpy(np.pad(ids, padding, constant_values=config.pad_id)).long()
        padded_mask = torch.from_numpy(np.pad(mask, padding)).long()
        with torch.inference_mode():
            output = model(padded_ids, attention_mask=padded_mask)
        vectors: Vectors = output.last_hidden_state.numpy()[:, : ids.shape[1]]
        return vectors

    return run
