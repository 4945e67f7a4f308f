"""The attention of a BigBird in transformers, which depends on what the model was given before."""

from __future__ import annotations

import logging

from transformers import PreTrainedModel

BIGBIRD_LOGGER = "transformers.models.big_bird.modeling_big_bird"


def keep_attention_type(model: PreTrainedModel) -> None:
    """Lets each batch of a BigBird have the attention of its length: transformers gives a model that has once seen a
    short row full attention for good, and says so at every such row."""
    encoder = model.base_model
    if hasattr(encoder, "set_attention_type"):
        logging.getLogger(BIGBIRD_LOGGER).setLevel(logging.ERROR)
        encoder.register_forward_pre_hook(lambda *_: encoder.set_attention_type(model.config.attention_type))
