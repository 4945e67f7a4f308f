"""TFLongformer with a head, as a SavedModel that Spark NLP can load; for the stock peer's own environment.

    python benchmarks/stock_head.py CLASS CHECKPOINT SAVED_MODEL PEER

CLASS is one of transformers 4.44, such as TFLongformerForTokenClassification. PEER is `stock_longformer.py`, which does
the same for the model without a head; what it takes out of a SavedModel for Spark NLP's TensorFlow is taken out here.
"""

from __future__ import annotations

import runpy
import shutil
import sys
from pathlib import Path
from typing import Any

import tensorflow as tf
import transformers

INPUTS = ("input_ids", "attention_mask")


def export(name: str, checkpoint: Path, target: Path) -> None:
    """Writes `target`, by transformers' own save_pretrained(), as Spark NLP's notebooks do."""
    model: Any = getattr(transformers, name).from_pretrained(checkpoint)
    spec = {name: tf.TensorSpec((None, None), tf.int32, name=name) for name in INPUTS}

    @tf.function(input_signature=[spec])  # type: ignore[untyped-decorator]
    def serving(inputs: dict[str, Any]) -> Any:
        return model(inputs)

    scratch = target.with_suffix(".scratch")
    model.save_pretrained(scratch, saved_model=True, signatures={"serving_default": serving})
    shutil.copytree(scratch / "saved_model" / "1", target, dirs_exist_ok=True)
    shutil.rmtree(scratch)
    (target / "assets").mkdir(exist_ok=True)


def main() -> None:
    name, checkpoint, target, peer = sys.argv[1], *map(Path, sys.argv[2:])
    export(name, checkpoint, target)
    runpy.run_path(str(peer))["drop_newer_ops"](target)


if __name__ == "__main__":
    main()
