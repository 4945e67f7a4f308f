"""Masked language modelling of clinical notes with a Longformer or a BigBird.

The demo model (a tokenizer of its own, fresh weights):

    python -m training.tokenizer notes.jsonl --output tokenizer
    python -m training.pretrain notes.jsonl --config training/demo.config.json --tokenizer tokenizer \\
        --output training/demo_checkpoint --work demo-run

The recipe of the Clinical-Longformer authors (Li et al., arXiv 2201.11838): start from allenai/longformer-base-4096
with its own tokenizer, 200,000 steps on MIMIC-III at a learning rate of 3e-5, 18 rows of 4,096 pieces per step on 6
GPUs. The masked share, 15 %, is not stated and taken from RoBERTa. The warm-up is ours, and so is bf16 for their fp16:

    torchrun --nproc-per-node 6 -m training.pretrain mimic_iii_notes.parquet --init allenai/longformer-base-4096 \\
        --lr 3e-5 --steps 200000 --length 4096 --batch 3 --warm-up 1000 --masked-share 0.15 --held-out 0.001 \\
        --output checkpoint --work run

A run that stopped goes on with the same command and --resume: the same rows, other masks. Attention is local only, as
it is when notes are embedded.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoTokenizer,
    BigBirdForMaskedLM,
    DataCollatorForLanguageModeling,
    LongformerForMaskedLM,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.modeling_outputs import MaskedLMOutput

from sparkclin.errors import OptionError
from sparkclin.evaluation.notes import read_notes
from training.evaluate import IGNORED, HeldOutLoss, evaluate, scores_of, usable_positions
from training.rows import EncodedNotes, PackedRows, encode_notes
from training.split import split_notes
from training.tokenizer import save_tokenizer

RECORD_FILE = "training.json"
LOGGING_STEPS = 25
LIBRARIES = ("accelerate", "tokenizers", "torch", "transformers")


@dataclass(frozen=True, kw_only=True)
class PretrainOptions:
    """`init` (a checkpoint folder or hub id) or `config` (a model's config.json, with `tokenizer`): where to start.

    `length` counts pieces of a row, `batch` rows of a step; `held_out` is the share of the notes kept from training;
    `work` is the folder of the run's own checkpoints (weights and optimizer, one every `save_steps`, the last two
    kept), `output` that of the finished one.
    """

    notes: Path
    output: Path
    work: Path
    init: str | None = None
    config: Path | None = None
    tokenizer: Path | None = None
    steps: int = 2000
    lr: float = 1e-3
    warm_up: int = 150
    length: int = 4096
    batch: int = 1
    masked_share: float = 0.2
    weight_decay: float = 0.01
    held_out: float = 0.1
    seed: int = 0
    bf16: bool = True
    save_steps: int = 200
    resume: bool = False

    def __post_init__(self) -> None:
        problems = []
        if (self.init is None) == (self.config is None):
            problems.append("give either init (a checkpoint) or config (a model to start afresh), not both or neither")
        if self.config is not None and self.tokenizer is None:
            problems.append("config needs tokenizer, a folder that `python -m training.tokenizer` wrote")
        counts = {"steps": self.steps, "length": self.length, "batch": self.batch, "save_steps": self.save_steps}
        problems += [f"{name} is {count}, it must be at least 1" for name, count in counts.items() if count < 1]
        if problems:
            raise OptionError("; ".join(problems) + ".")


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """What made a checkpoint, without a path of the machine that did.

    `elapsed_s` is of the run's last start only; `last_training_loss` the mean of the last LOGGING_STEPS steps, in nats.
    """

    date: str
    elapsed_s: float
    device: str
    processes: int
    threads: int
    init: str | None
    steps: int
    lr: float
    warm_up: int
    length: int
    batch: int
    masked_share: float
    weight_decay: float
    bf16: bool
    seed: int
    held_out_share: float
    train_notes: int
    train_pieces: int
    pieces_seen: int
    parameters: int
    last_training_loss: float
    held_out_loss: HeldOutLoss | None
    libraries: dict[str, str]


class MaskedPieces:
    """A model of transformers whose training loss computes the vocabulary's scores for masked pieces only.

    The loss is the same; a step of the demo model takes two thirds of the time, for the scores of the other pieces were
    thrown away. The weights have the names of transformers' class.
    """

    def forward(
        self: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        labels: torch.Tensor,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> MaskedLMOutput:
        """`input_ids`, `attention_mask`, `labels`: (batch, pieces).

        The loss is a mean over the masked pieces; over those of the whole optimizer step where the Trainer passes their
        number as `num_items_in_batch`.
        """
        masked = labels != IGNORED
        scores = scores_of(self, input_ids, attention_mask, where=masked)
        total = torch.nn.functional.cross_entropy(scores, labels[masked], reduction="sum")
        count = masked.sum() if num_items_in_batch is None else num_items_in_batch
        return MaskedLMOutput(loss=total / count)


class MaskedPiecesLongformer(MaskedPieces, LongformerForMaskedLM):  # type: ignore[misc]
    pass


class MaskedPiecesBigBird(MaskedPieces, BigBirdForMaskedLM):  # type: ignore[misc]
    pass


MODEL_CLASSES: dict[str, Any] = {"longformer": MaskedPiecesLongformer, "big_bird": MaskedPiecesBigBird}
"""By a config's model_type."""


def pretrain(options: PretrainOptions) -> TrainingRecord:
    """Trains, writes the finished checkpoint with its record to `options.output`, and returns the record."""
    set_seed(options.seed)
    tokenizer = AutoTokenizer.from_pretrained(options.init or options.tokenizer)
    model = load_model(options, vocab_size=len(tokenizer))
    split = split_notes(read_notes(options.notes), held_out=options.held_out)
    train = encode_notes([note.text for note in split.train], tokenizer)
    held_out = encode_notes([note.text for note in split.held_out], tokenizer) if split.held_out else None

    trainer = make_trainer(model, tokenizer, train, options)
    started = time.monotonic()
    trainer.train(resume_from_checkpoint=options.resume)
    elapsed_s = time.monotonic() - started

    finished = finish(model, copy_global=options.init is None)
    record = TrainingRecord(
        date=datetime.now(UTC).date().isoformat(),
        elapsed_s=round(elapsed_s, 1),
        device=f"{model.device.type} ({platform.machine()})",
        processes=trainer.args.world_size,
        threads=torch.get_num_threads(),
        init=Path(options.init).name if options.init and Path(options.init).is_dir() else options.init,
        steps=options.steps,
        lr=options.lr,
        warm_up=options.warm_up,
        length=options.length,
        batch=options.batch,
        masked_share=options.masked_share,
        weight_decay=options.weight_decay,
        bf16=options.bf16,
        seed=options.seed,
        held_out_share=options.held_out,
        train_notes=len(split.train),
        train_pieces=len(train.pieces),
        pieces_seen=len(trainer.train_dataset) * options.length,
        parameters=sum(parameter.numel() for parameter in finished.parameters()),
        last_training_loss=[entry["loss"] for entry in trainer.state.log_history if "loss" in entry][-1],
        held_out_loss=None if held_out is None else evaluate(finished, tokenizer, train=train, held_out=held_out),
        libraries={name: version(name) for name in LIBRARIES},
    )
    if trainer.is_world_process_zero():
        save_checkpoint(finished, tokenizer, record, options.output)
    return record


def load_model(options: PretrainOptions, *, vocab_size: int) -> PreTrainedModel:
    """Raises OptionError where the tokenizer has ids, or the rows positions, that the model does not."""
    config: PretrainedConfig = AutoConfig.from_pretrained(options.init or options.config)
    if config.model_type not in MODEL_CLASSES:
        raise OptionError(f"model_type is {config.model_type!r}; expected one of {', '.join(MODEL_CLASSES)}.")
    model_class = MODEL_CLASSES[config.model_type]
    model: PreTrainedModel = model_class.from_pretrained(options.init) if options.init else model_class(config)
    problems = []
    if options.bf16 and config.model_type == "big_bird":
        problems.append("transformers' BigBird fails in bf16: give --no-bf16")
    if vocab_size > model.config.vocab_size:
        problems.append(f"the tokenizer has {vocab_size} pieces, the model {model.config.vocab_size}")
    positions = usable_positions(model.config)
    if options.length > positions:
        problems.append(f"length is {options.length}, the model has {positions} positions")
    if problems:
        raise OptionError("; ".join(problems) + ".")
    return model


def make_trainer(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, train: EncodedNotes, options: PretrainOptions
) -> Trainer:
    arguments = TrainingArguments(
        output_dir=str(options.work),
        max_steps=options.steps,
        per_device_train_batch_size=options.batch,
        learning_rate=options.lr,
        warmup_steps=options.warm_up,
        weight_decay=options.weight_decay,
        adam_beta2=0.98,  # RoBERTa's
        bf16=options.bf16,
        use_cpu=not torch.accelerator.is_available(),  # bf16 on a CPU must be asked for
        dataloader_pin_memory=torch.accelerator.is_available(),
        seed=options.seed,
        train_sampling_strategy="sequential",  # PackedRows has shuffled
        logging_steps=min(LOGGING_STEPS, options.steps),
        save_steps=options.save_steps,
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
    )
    rows = PackedRows(
        train,
        length=options.length,
        rows=options.steps * options.batch * arguments.world_size,
        seed=options.seed,
        special_ids=tokenizer.all_special_ids,
    )
    collate = DataCollatorForLanguageModeling(tokenizer, mlm_probability=options.masked_share)
    return Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collate, processing_class=tokenizer)


def finish(model: PreTrainedModel, *, copy_global: bool) -> PreTrainedModel:
    """The trained weights in transformers' own class.

    `copy_global`: a Longformer is trained with local attention only, which leaves the projections of global attention
    at random; they become copies of the local ones, which is how the Longformer authors made theirs from RoBERTa's.
    """
    (own_class,) = (base for base in type(model).__bases__ if base is not MaskedPieces)
    finished: PreTrainedModel = own_class(model.config).to(model.device)
    finished.load_state_dict(model.state_dict())
    if copy_global and isinstance(finished, LongformerForMaskedLM):
        for layer in finished.longformer.encoder.layer:
            attention = layer.attention.self
            attention.query_global.load_state_dict(attention.query.state_dict())
            attention.key_global.load_state_dict(attention.key.state_dict())
            attention.value_global.load_state_dict(attention.value.state_dict())
    return finished


def save_checkpoint(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, record: TrainingRecord, folder: Path
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    save_tokenizer(tokenizer, folder)
    (folder / RECORD_FILE).write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")


def parse_options(arguments: Sequence[str] | None = None) -> PretrainOptions:
    parser = argparse.ArgumentParser(
        prog="python -m training.pretrain", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    defaults = PretrainOptions
    parser.add_argument(
        "notes", type=Path, help=".jsonl or .parquet with note_id and text, or .txt with one note per line"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the finished checkpoint")
    parser.add_argument("--work", type=Path, required=True, help="folder of the run's own checkpoints")
    parser.add_argument("--init", help="start from this checkpoint: a folder or a hub id")
    parser.add_argument("--config", type=Path, help="start afresh with this config.json of a Longformer or BigBird")
    parser.add_argument("--tokenizer", type=Path, help="folder of the tokenizer, with --config")
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--lr", type=float, default=defaults.lr, help="peak learning rate; it then falls to 0 linearly")
    parser.add_argument("--warm-up", type=int, default=defaults.warm_up, help="steps until the peak")
    parser.add_argument("--length", type=int, default=defaults.length, help="pieces in a row")
    parser.add_argument("--batch", type=int, default=defaults.batch, help="rows in a step, on each device")
    parser.add_argument("--masked-share", type=float, default=defaults.masked_share)
    parser.add_argument("--weight-decay", type=float, default=defaults.weight_decay)
    parser.add_argument(
        "--held-out", type=float, default=defaults.held_out, help="share of the notes kept from training"
    )
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=defaults.bf16)
    parser.add_argument("--save-steps", type=int, default=defaults.save_steps)
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --work")
    return PretrainOptions(**vars(parser.parse_args(arguments)))


def main(arguments: Sequence[str] | None = None) -> None:
    print(json.dumps(asdict(pretrain(parse_options(arguments))), indent=2))


if __name__ == "__main__":
    main()
