"""A checkpoint, understood: its family, the encoder's shape, its head and all its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from tokenizers import Tokenizer

from sparkclin.export import checkpoint
from sparkclin.export.assets import OrdinaryAssets, RowEnds, check_rows
from sparkclin.export.checkpoint import Checkpoint
from sparkclin.export.families import family_of
from sparkclin.export.families.family import Family, Reference
from sparkclin.export.graph import encoder
from sparkclin.export.graph.encoder import EncoderConfig
from sparkclin.export.graph.ops import Array, Body, RowBodies
from sparkclin.export.heads import head_of
from sparkclin.export.heads.head import Head, HeadSpec
from sparkclin.export.heads.labels import NOTHING_STATED, StatedLabels, problem_type_of, with_labels
from sparkclin.schema import CLASSIFY


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """`source` is the checkpoint, with stated labels in its config. `tensors` are the encoder's, by name without
    prefix; `head`, made by `spec`, has its own. `global_attention` is the user's own choice, None for what the head has
    in transformers."""

    source: Checkpoint
    family: Family
    config: EncoderConfig
    tensors: Mapping[str, Array]
    spec: HeadSpec
    head: Head
    tokenizer_json: str
    ends: RowEnds
    global_attention: str | None

    @classmethod
    def read(
        cls,
        source: str,
        *,
        revision: str | None = None,
        tokenizer: str | None = None,
        global_attention: str | None = None,
        labels: StatedLabels = NOTHING_STATED,
    ) -> TrainedModel:
        """Read a checkpoint's folder or hub id. Raises what checkpoint.read() and of() raise."""
        read = checkpoint.read(source, revision=revision, tokenizer=tokenizer)
        return cls.of(read, global_attention=global_attention, labels=labels)

    @classmethod
    def of(
        cls, source: Checkpoint, *, global_attention: str | None = None, labels: StatedLabels = NOTHING_STATED
    ) -> TrainedModel:
        """`global_attention` is as in ParseConfig. Raises CheckpointError for a family or head that is not known, for
        labels as with_labels() does, one that names every tensor that does not fit, and one that names the tokens
        without a row in the matrix; and OptionError for stated labels that do not fit the head."""
        family = family_of(source.config, source=source.source)
        spec = head_of(source.config, source=source.source)
        source = with_labels(source, spec, labels)
        tokenizer_json = source.tokenizer_json()
        ends = RowEnds.of(tokenizer_json)
        config = family.parse_config(source.config, ends, task=spec.task, global_attention=global_attention)
        of_encoder, of_head = family.shapes(config), spec.shapes(config, source.config)
        tensors = checkpoint.account_for(
            source,
            needed={**of_encoder, **of_head},
            unused=family.unused_shapes(config),
            prefixes=family.prefixes,
        )
        check_rows(tokenizer_json, ends, rows=config.vocab_size, source=source.source)
        return cls(
            source=source,
            family=family,
            config=config,
            tensors={name: tensors[name] for name in of_encoder},
            spec=spec,
            head=spec.build({name: tensors[name] for name in of_head}, config, source.config),
            tokenizer_json=tokenizer_json,
            ends=ends,
            global_attention=global_attention,
        )

    @property
    def problem_type(self) -> str | None:
        """The way in which the labels of a row go together; None if the head is not for classification."""
        if self.head.task != CLASSIFY:
            return None
        return problem_type_of(self.source.config, n_labels=len(self.head.labels))

    def body(self) -> Body:
        """The graph to build."""
        weights = self.family.load(self.tensors, self.config)
        return lambda ops, ids: encoder.model(ops, ids, config=self.config, weights=weights, head=self.head)

    def row_bodies(self) -> RowBodies:
        """The graphs to build where Python workers run the model."""
        weights = self.family.load(self.tensors, self.config)
        return RowBodies(
            encode=lambda ops, ids: encoder.encode(ops, ids, config=self.config, weights=weights),
            outputs=lambda ops, ids, states: encoder.outputs_of_segments(
                ops, ids, states, config=self.config, head=self.head
            ),
            row_limits=self.config.row_limits,
        )

    @cached_property
    def added_tokens(self) -> dict[str, int]:
        """Return the ids of the tokens that were added to the tokenizer's vocabulary, special pieces included."""
        found = Tokenizer.from_str(self.tokenizer_json).get_added_tokens_decoder()
        return {token.content: index for index, token in found.items()}

    def ordinary_assets(self) -> OrdinaryAssets:
        """The vocabulary of ordinary ids for Spark NLP; raises CheckpointError for a tokenizer that has none."""
        return self.family.ordinary_assets(self.tokenizer_json, self.config)

    def reference(self) -> Reference:
        """Return the reference model for the graph's vectors."""
        return self.family.reference(self.source.config, self.tensors, self.config)
