"""Every command that the documents print runs in a test. One that is printed and not listed here fails."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pyspark
import pytest

from sparkclin.commands import embed
from sparkclin.evaluation.notes import packaged_notes
from sparkclin.spark.settings import EXCLUDES, PACKAGES, SETTINGS
from tests.sparkclin.processes import clean_environment

ROOT = Path(__file__).parents[1]
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))),
    "training/README.md",
    "benchmarks/README.md",
)
COMMAND = re.compile(r"(?:make|python|pip|torchrun|docker|spark-submit|sparkclin) [a-z./-]")
N_NOTES = 12
TINY = {
    "vocab_size": 300,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
TINY_CONFIGS: dict[str, dict[str, Any]] = {
    "demo.config.json": {**TINY, "attention_window": [8], "max_position_embeddings": 66},
    "demo_bigbird.config.json": {**TINY, "block_size": 4, "num_random_blocks": 1, "max_position_embeddings": 64},
}
"""What is smaller than in training/, by file."""


@dataclass(frozen=True, kw_only=True)
class Smoke:
    """Run as printed, in a folder that has the files it names, at smoke size: with the options `more`, after the
    commands `after`. `instead` has what stands in for a word that every reader replaces."""

    more: str = ""
    after: tuple[str, ...] = ()
    instead: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DryRun:
    """What `make` would run is looked at; `test` runs it."""

    test: str


@dataclass(frozen=True)
class RunBy:
    """The test that runs it."""

    test: str


DEMO = RunBy("tests/test_demo.py::test_the_demo_runs_in_a_clean_clone")
BENCHMARK = DryRun("tests/benchmarks/test_smoke.py::test_smoke")
PARTS = DryRun("tests/benchmarks/test_parts.py::test_tasks_and_attentions")
WHEEL = RunBy("tests/test_wheel.py::test_notes_are_embedded_outside_the_checkout")

NER_DL = RunBy("tests/examples/test_ner_dl.py::test_it_learns_its_sentences_and_tags_notes_with_them")
FINE_TUNING = RunBy("tests/training/test_ner.py::test_a_model_learns_them_and_can_be_exported")
SCORING = RunBy("tests/evaluation/test_ner.py::test_the_command_makes_notes_and_scores_entities")
LABELLING = RunBy(
    "tests/training/test_classify.py::test_a_model_learns_several_labels_and_transformers_predictions_are_scored"
)
CLASSIFYING = RunBy("tests/sparkclin/tasks/test_pairs.py::test_labels_are_those_of_transformers")
CHOOSING = RunBy("tests/evaluation/test_medconceptsqa.py::test_the_command_scores_a_model_zero_shot_and_few_shot")
ASKING = RunBy("tests/sparkclin/tasks/test_pairs.py::test_one_question_is_asked_of_all_notes")
ANSWERING = RunBy("tests/training/test_qa.py::test_a_model_learns_answers_and_transformers_predictions_are_scored")

YARN = (
    "--executor-memory 4g --executor-cores 2 --conf spark.executor.memoryOverhead=3g",
    "--conf spark.pyspark.python=./environment/bin/python "
    "--conf spark.yarn.appMasterEnv.PYSPARK_PYTHON=./environment/bin/python",
)
CLUSTER = RunBy("tests/test_documented_commands.py::test_a_line_for_a_cluster_is_right")
OF_CLUSTERS = {
    "spark-submit --master spark://HOST:7077 --executor-memory 4g --executor-cores 2 "
    "--conf spark.pyspark.python=/opt/sparkclin/.venv/bin/python pipelines/embed_notes.py "
    "--input hdfs://NAMENODE:8020/notes --output hdfs://NAMENODE:8020/vectors --models hdfs://NAMENODE:8020/models "
    "--model clinical_longformer": CLUSTER,
    "spark-submit --master yarn --deploy-mode cluster --properties-file sparkclin.conf --num-executors 10 "
    f"{YARN[0]} --archives environment.tar.gz#environment {YARN[1]} pipelines/embed_notes.py --input hdfs:///notes "
    "--output hdfs:///vectors --models hdfs:///models --model clinical_longformer": CLUSTER,
    f"spark-submit --master yarn --deploy-mode cluster --packages {','.join(PACKAGES)} "
    f"--exclude-packages {','.join(EXCLUDES)} {YARN[0]} "
    "--conf spark.serializer=org.apache.spark.serializer.KryoSerializer --conf spark.kryoserializer.buffer.max=2000M "
    "--conf spark.driver.maxResultSize=0 --conf spark.sql.execution.arrow.maxRecordsPerBatch=8 "
    "--conf spark.io.encryption.enabled=true --conf spark.executorEnv.TF_ENABLE_ONEDNN_OPTS=1 "
    f"--archives s3://BUCKET/environment.tar.gz#environment {YARN[1]} s3://BUCKET/embed_notes.py "
    "--input s3://BUCKET/notes --output s3://BUCKET/vectors --models s3://BUCKET/models "
    "--model clinical_longformer": CLUSTER,
}
"""Those of docs/how-to/clusters.md that need a cluster of a kind."""

IN_PARTS = RunBy("tests/docs/test_restart.py::test_the_partitions_change_vectors_by_rounding_only")
STORES = RunBy("tests/docs/test_vector_stores.py::test_a_store_finds_the_same_ten")
AIR_GAPPED = RunBy("tests/test_wheel.py::test_a_machine_without_a_registry_is_set_up")

EXPORT = "sparkclin export yikuan8/Clinical-Longformer --name clinical_longformer --models models --all"
EXPORT_OF_A_TRAINER = (
    "sparkclin export trainer_output --tokenizer yikuan8/Clinical-Longformer --name clinical_entities --models models"
)
EMBED = "sparkclin embed --input notes.parquet --output vectors --models models --model clinical_longformer"
OF_THE_DEMO = "sparkclin embed --input sparkclin/demo/notes.jsonl --output"
SINGLE, HALF = f"{OF_THE_DEMO} f32", f"{OF_THE_DEMO} f16 --vector-dtype float16"
EMBED_BF16 = f"{EMBED.replace(' vectors ', ' fast_vectors ')} --engine openvino --precision bf16"
TRAIN_TOKENIZER = "python -m training.tokenizer notes.jsonl --output tokenizer"
PRETRAIN = (
    "python -m training.pretrain notes.jsonl --config training/demo.config.json --tokenizer tokenizer "
    "--output training/demo_checkpoint --work demo-run"
)
STOCK_FEED = RunBy("tests/training/test_stock_entities.py::test_entities_are_written_with_their_offsets")
TRAIN_BIGBIRD_TOKENIZER = "python -m training.tokenizer notes.jsonl --family bigbird --output bigbird_tokenizer"
OF_RESULTS = {
    "sparkclin export demo_ner_checkpoint --name demo_ner --models models --engine onnx": RunBy(
        "tests/sparkclin/tasks/test_entities.py::test_the_manifest_says_task_and_labels"
    ),
    "python -m sparkclin.evaluation.ner notes $D/NCBI-disease/test.tsv --output notes.jsonl": SCORING,
    "sparkclin ner --input notes.jsonl --input-format jsonl --output entities --models models --model demo_ner": RunBy(
        "tests/test_ner_pipeline.py::test_the_page_and_the_most_frequent_are_of_the_rows_that_were_written"
    ),
    "python -m sparkclin.evaluation.ner score $D/NCBI-disease/test.tsv entities": SCORING,
    "python -m training.predict_ner $D/NCBI-disease/test.tsv demo_ner_checkpoint --output theirs.parquet": FINE_TUNING,
    "python -m sparkclin.evaluation.ner score $D/NCBI-disease/test.tsv theirs.parquet": SCORING,
    "python -m training.stock_entities notes.jsonl --models sparkclin/demo/models --model demo_ner --engine onnx "
    "--output stock.parquet": STOCK_FEED,
    "python -m sparkclin.evaluation.ner score $D/NCBI-disease/test.tsv stock.parquet": SCORING,
    "python -m training.ner --train $D/NCBI-disease/train.tsv bc5cdr_train.tsv --dev $D/NCBI-disease/devel.tsv "
    "bc5cdr_dev.tsv --init training/demo_checkpoint --output demo_ner_checkpoint --work ner-run --dropout 0.1 "
    "--lr 1e-3 --epochs 10 --patience 12 --batch 2 --sentences-per-note 12": FINE_TUNING,
    "python -m training.classify --train $D/pubmedqa/train.jsonl --dev $D/pubmedqa/dev.jsonl --text-column context "
    "--pair-column question --id-column id --init training/demo_checkpoint --dropout 0.1 --lr 3e-4 --epochs 2 "
    "--output label_checkpoint --work label-run": LABELLING,
    "sparkclin export label_checkpoint --name pubmedqa --models models --engine onnx": CLASSIFYING,
    "python -m sparkclin.evaluation.classify notes $D/pubmedqa/dev.jsonl --text-column context --pair-column question "
    "--id-column id --output notes.jsonl": LABELLING,
    "sparkclin classify --input notes.jsonl --input-format jsonl --output labels --models models "
    "--model pubmedqa --pair-column pair": CLASSIFYING,
    "python -m sparkclin.evaluation.classify score labels $D/pubmedqa/dev.jsonl --id-column id": LABELLING,
    "python -m training.predict_classify notes.jsonl label_checkpoint --output theirs.parquet": LABELLING,
    "python -m sparkclin.evaluation.classify score theirs.parquet $D/pubmedqa/dev.jsonl --id-column id": LABELLING,
}
"""Those of docs/explanation/results.md."""

OF_THE_PAPER = {
    "python -m training.ner --train train.tsv --dev devel.tsv --init CHECKPOINT --output ner_checkpoint "
    "--work ner-run": FINE_TUNING,
    "sparkclin export ner_checkpoint --name i2b2 --models models --engine onnx": RunBy(
        "tests/sparkclin/tasks/test_entities.py::test_the_manifest_says_task_and_labels"
    ),
    "sparkclin ner --input test_notes.jsonl --input-format jsonl --output entities --models models --model i2b2": RunBy(
        "tests/test_ner_pipeline.py::test_the_page_and_the_most_frequent_are_of_the_rows_that_were_written"
    ),
    "python -m training.qa --train medication-train-sampled-0.2.json --dev medication-dev.json --init CHECKPOINT "
    "--output answer_checkpoint --work answer-run": ANSWERING,
    "sparkclin export answer_checkpoint --name emrqa --models models --engine onnx": ASKING,
    "python -m sparkclin.evaluation.qa notes medication-test.json --output questions.jsonl": ANSWERING,
    "sparkclin answer --input questions.jsonl --input-format jsonl --output answers --models "
    "models --model emrqa": ASKING,
    "python -m sparkclin.evaluation.qa score answers medication-test.json": ANSWERING,
    "python -m training.classify --train mli_train_v1.jsonl --dev mli_dev_v1.jsonl --text-column sentence1 "
    "--pair-column sentence2 --label-column gold_label --init CHECKPOINT --output label_checkpoint "
    "--work label-run": LABELLING,
    "sparkclin export label_checkpoint --name mednli --models models --engine onnx": CLASSIFYING,
    "python -m sparkclin.evaluation.classify notes mli_test_v1.jsonl --text-column sentence1 --pair-column sentence2 "
    "--label-column gold_label --output test_pairs.jsonl": LABELLING,
    "sparkclin classify --input test_pairs.jsonl --input-format jsonl --output labels --models "
    "models --model mednli --pair-column pair": CLASSIFYING,
    "python -m sparkclin.evaluation.classify score labels mli_test_v1.jsonl --label-column gold_label": LABELLING,
    "python -m training.classify --train train.csv --dev dev.csv --multi-label --max-pieces 1022 --init CHECKPOINT "
    "--output label_checkpoint --work label-run": LABELLING,
    "python -m training.classify --train train.csv --dev dev.csv --init CHECKPOINT --output label_checkpoint "
    "--work label-run": LABELLING,
    "python -m sparkclin.evaluation.medconceptsqa test.parquet --model clinical_longformer --models models": CHOOSING,
    "python -m sparkclin.evaluation.medconceptsqa test.parquet --model clinical_longformer --models models --shots 4 "
    "--dev dev.parquet --sample 250": CHOOSING,
}
"""Those of docs/how-to/paper_tasks.md."""

SPLIT = "python -m training.split notes.jsonl --train mtsamples_train.jsonl --dev mtsamples_dev.jsonl --least-notes 20"
TINY_TRAINING = "--steps 2 --save-steps 2 --warm-up 1 --length 64 --batch 1 --held-out 0.4 --no-bf16"

COMMANDS: dict[str, Smoke | DryRun | RunBy] = {
    **OF_RESULTS,
    **OF_THE_PAPER,
    **OF_CLUSTERS,
    "make demo": DEMO,
    "make docs": RunBy("tests/docsite/test_site.py::test_every_document_is_a_page"),
    "make notebooks": RunBy("tests/docs/test_notebooks.py::test_it_runs_and_shows_what_the_file_shows"),
    "make lint": DryRun("tests/test_documented_commands.py::test_what_make_would_run_is_right"),
    "make release-test": DryRun("tests/test_documented_commands.py::test_what_make_would_run_is_right"),
    "make test": DryRun("tests/test_documented_commands.py::test_what_make_would_run_is_right"),
    'make test ARGS="-k windows"': DryRun("tests/test_documented_commands.py::test_what_make_would_run_is_right"),
    "make bench": BENCHMARK,
    'make bench ARGS="--quick"': BENCHMARK,
    'make bench ARGS="--only scaling"': BENCHMARK,
    'make bench ARGS="--only embed scaling"': BENCHMARK,
    'make bench ARGS="--only entities classify answer"': PARTS,
    'make bench ARGS="--only attention"': PARTS,
    "make bench ARGS=\"--only embed stock 'openvino fp32' 'openvino bf16' 'openvino int8' 'sparkclin onnx fp32' "
    "'sparkclin onnx int8' 'sparkclin openvino fp32' 'sparkclin openvino bf16' 'sparkclin openvino int8' "
    '--seconds 20"': BENCHMARK,
    "make bench ARGS=\"--only embed 'sparkclin onnx fp32' 'onnxruntime fp32' --workloads sentences "
    '--seconds 30"': BENCHMARK,
    'make bench ARGS="--workloads notes --seconds 120 --rounds 5"': BENCHMARK,
    'make bench ARGS="--smoke"': BENCHMARK,
    "python -m benchmarks.memory": RunBy("tests/benchmarks/test_smoke.py::test_the_memory_of_workers"),
    "python -m benchmarks.shapes": RunBy("tests/benchmarks/test_smoke.py::test_the_memory_by_shapes"),
    "python -m testkit.mutation --work DIR": RunBy("tests/test_mutation.py::test_a_bug_is_caught_or_survives"),
    "python -m testkit.mirror MODULE…": RunBy("tests/test_mirror.py::test_the_command_prints_files_for_pytest"),
    "python -m benchmarks.long_note": RunBy("tests/benchmarks/test_long_note.py::test_every_level_is_measured"),
    "python -m benchmarks.profile": RunBy("tests/benchmarks/test_smoke.py::test_the_profile_of_the_same_models"),
    EXPORT: Smoke(more="--notes notes.jsonl"),
    EXPORT_OF_A_TRAINER: RunBy(
        "tests/export/test_hub.py::test_of_a_hub_id_that_gives_a_tokenizer_only_its_files_are_fetched"
    ),
    EMBED_BF16: Smoke(after=(EXPORT,)),
    "sparkclin export CHECKPOINT --name base --models models --engine openvino --precision bf16": Smoke(
        more="--notes notes.jsonl", instead={"CHECKPOINT": "yikuan8/Clinical-Longformer"}
    ),
    "sparkclin export checkpoint --name a_tagger --models models --labels labels.txt": RunBy(
        "tests/export/heads/test_labels.py::test_what_the_user_states_is_exported_and_verified_again"
    ),
    "sparkclin export checkpoint --name …": RunBy("tests/test_wheel.py::test_the_wheels_exporter_exports"),
    "sparkclin export verify clinical_longformer --models models --checkpoint FOLDER": Smoke(
        instead={"FOLDER": "yikuan8/Clinical-Longformer"}, after=(EXPORT,)
    ),
    "sparkclin models describe clinical_longformer --models models": Smoke(after=(EXPORT,)),
    "sparkclin models describe clinical_longformer_demo": Smoke(),
    "sparkclin models check": Smoke(),
    "sparkclin setup": WHEEL,
    "python -m pip wheel --require-hashes --no-build-isolation --requirement requirements/runtime.txt "
    "--wheel-dir carry/packages": AIR_GAPPED,
    "python -m pip wheel --no-deps --no-build-isolation --wheel-dir carry/packages .": AIR_GAPPED,
    "python -m pip install --no-index --find-links carry/packages sparkclin": AIR_GAPPED,
    "sparkclin setup --jars carry/jars": AIR_GAPPED,
    "python -m pip install sparkclin-0.1.0-py3-none-any.whl": WHEEL,
    "sparkclin embed --input notes.csv --output vectors": WHEEL,
    "sparkclin ner --input notes.csv --output entities": RunBy(
        "tests/test_ner_pipeline.py::test_without_a_page_no_note_text_is_printed"
    ),
    "sparkclin export": RunBy(
        "tests/sparkclin/commands/test_command.py::test_export_is_a_command_that_its_package_adds"
    ),
    "sparkclin spark-defaults > sparkclin.conf": RunBy(
        "tests/sparkclin/test_cli.py::test_spark_defaults_prints_the_table"
    ),
    EMBED: Smoke(after=(EXPORT,)),
    f"{EMBED} --trust trusted.txt": RunBy(
        "tests/hostile/test_models.py::test_the_model_that_is_trusted_runs_and_its_output_says_which_it_was"
    ),
    "python -m sparkclin.evaluation notes.jsonl vectors": Smoke(after=(EMBED,)),
    "sparkclin ner --input notes.parquet --output entities --models models --model a_ner_model": RunBy(
        "tests/sparkclin/tasks/test_entities.py::test_the_pipeline_writes_them_with_a_report"
    ),
    "sparkclin ner --input note.parquet --output nlp --models models --model a_ner_model --output-schema omop": RunBy(
        "tests/sparkclin/tasks/test_entities.py::test_the_pipeline_writes_note_nlp_for_omop"
    ),
    "sparkclin classify --input notes.parquet --output labels --models models --model a_classifier": CLASSIFYING,
    "sparkclin classify --input trials.parquet --output labels --models models --model "
    "a_classifier --pair-column statement": CLASSIFYING,
    "sparkclin answer --input notes.parquet --output answers --models models --model a_reader "
    '--question "Which drugs does the patient take?"': ASKING,
    "python -m examples.ner_dl train train.tsv --output ner_dl": NER_DL,
    "python -m examples.ner_dl train ncbi_2000.tsv --output ner_dl --epochs 8": NER_DL,
    "python -m examples.ner_dl tag notes.jsonl --ner ner_dl --output entities": NER_DL,
    "python -m training.ner": FINE_TUNING,
    "python -m training.ner --train train.tsv --dev devel.tsv --init checkpoint --output ner_checkpoint "
    "--work ner-run": FINE_TUNING,
    "python -m sparkclin.evaluation.ner notes test.tsv --output test_notes.jsonl": SCORING,
    "python -m sparkclin.evaluation.ner score test.tsv entities": SCORING,
    "python -m training.predict_ner test.tsv ner_checkpoint --output theirs.parquet": RunBy(
        "tests/training/test_ner.py::test_what_transformers_finds_can_be_scored"
    ),
    "python -m training.classify --train train.csv --dev dev.csv --init checkpoint --output label_checkpoint "
    "--work label-run": LABELLING,
    "python -m sparkclin.evaluation.classify notes test.csv --output test_notes.jsonl": LABELLING,
    "python -m training.predict_classify test_notes.jsonl label_checkpoint --output labels.parquet": LABELLING,
    "python -m sparkclin.evaluation.classify score labels.parquet test.csv": LABELLING,
    SPLIT: Smoke(more="--held-out 0.3 --least-notes 2"),
    "python -m training.classify --train mtsamples_train.jsonl --dev mtsamples_dev.jsonl --label-column specialties "
    "--multi-label --init training/demo_checkpoint --output specialties_checkpoint --work specialties-run": Smoke(
        more="--epochs 1 --max-pieces 60", after=(PRETRAIN, SPLIT)
    ),
    "python -m training.qa --train train.json --dev dev.json --init checkpoint --output answer_checkpoint "
    "--work answer-run": ANSWERING,
    "python -m sparkclin.evaluation.qa notes test.json --output questions.jsonl": ANSWERING,
    "python -m training.predict_qa questions.jsonl answer_checkpoint --output answers.parquet": ANSWERING,
    "python -m sparkclin.evaluation.qa score answers.parquet test.json": ANSWERING,
    "spark-submit --properties-file": RunBy("tests/test_compose.py::test_the_same_topology_embeds_the_sample_notes"),
    SINGLE: Smoke(),
    f"{OF_THE_DEMO} in_1 --partitions 1": IN_PARTS,
    f"{OF_THE_DEMO} in_20 --partitions 20": IN_PARTS,
    HALF: Smoke(),
    "python -m sparkclin.evaluation.sentences notes.jsonl": RunBy(
        "tests/evaluation/test_sentences.py::test_splitters_are_compared_with_spark_nlp"
    ),
    "python -m sparkclin.evaluation.compare f32 f16": Smoke(after=(SINGLE, HALF)),
    "python -m docsite.sizes": RunBy("tests/docsite/test_sizes.py::test_every_level_is_measured"),
    "sparkclin map vectors --notes notes.jsonl --color specialties --hover title --output map.html": Smoke(
        after=(EMBED,)
    ),
    "sparkclin nearest vectors --note 9 -k 5 --notes notes.jsonl --show title": Smoke(after=(EMBED,)),
    "sparkclin nearest out/demo/vectors --note 9 -k 5 --notes sparkclin/demo/notes.jsonl --show title": DEMO,
    "pip install 'sparkclin[map]'": RunBy(
        "tests/sparkclin/maps/test_note_map.py::test_umap_keeps_groups_apart_and_gives_the_same_map_again"
    ),
    "make sbom": RunBy("tests/hostile/test_supply_chain.py::test_the_bill_of_materials_is_valid_and_whole"),
    "make audit": RunBy("tests/hostile/test_supply_chain.py::test_an_audit_understands_its_options"),
    "make lock": RunBy("tests/hostile/test_supply_chain.py::test_the_lock_files_have_what_pyproject_asks_for"),
    "make pins": RunBy("tests/hostile/test_supply_chain.py::test_the_jars_of_the_settings_are_pinned"),
    "make constraints": RunBy("tests/hostile/test_supply_chain.py::test_the_lock_files_have_what_pyproject_asks_for"),
    "sparkclin setup --check": RunBy("tests/hostile/test_supply_chain.py::test_setup_check_tells_without_a_change"),
    "python -m pip install --require-hashes -r requirements/build.txt": DEMO,
    "python -m pip install --no-build-isolation --require-hashes -r requirements/runtime.txt": DEMO,
    "python -m pip install --no-build-isolation --no-deps .": DEMO,
    "docker compose up": RunBy("tests/test_compose.py::test_the_same_topology_embeds_the_sample_notes"),
    "python docker/fetch_jars.py jars": RunBy("tests/test_compose.py::test_the_image_gets_every_jar_once"),
    "python -m pip install -c constraints.txt -e '.[export]'": RunBy(
        "tests/test_documented_commands.py::test_an_extra_can_be_installed"
    ),
    "python -m pip install -c constraints.txt -e '.[openvino]'": RunBy(
        "tests/test_documented_commands.py::test_an_extra_can_be_installed"
    ),
    'pip install -e ".[train]"': RunBy("tests/test_documented_commands.py::test_an_extra_can_be_installed"),
    "pip install --no-deps sparkclin-0.1.0-py3-none-any.whl": WHEEL,
    "pip install spark-nlp==5.5.3 nupunkt==0.8.0 tokenizers==0.23.3 tqdm==4.70.1": RunBy(
        "tests/test_architecture.py::"
        "test_the_document_on_clusters_installs_all_that_a_cluster_lacks_in_the_versions_of_the_wheel"
    ),
    "python -m training.compare_feeds notes.jsonl --models sparkclin/demo/models "
    "--model clinical_longformer_demo": Smoke(),
    "python -m sparkclin.evaluation.pooling notes.jsonl --models sparkclin/demo/models "
    "--model clinical_longformer_demo": RunBy(
        "tests/evaluation/test_pooling.py::test_the_command_fills_a_table_per_measure"
    ),
    "pip install duckdb": STORES,
    "pip install faiss-cpu": STORES,
    "pip install lancedb": STORES,
    'pip install "psycopg[binary]" pgvector': RunBy(
        "tests/docs/test_vector_stores.py::test_pgvector_finds_the_same_ten_with_its_index_and_without"
    ),
    TRAIN_TOKENIZER: Smoke(more="--vocab-size 300 --held-out 0.4"),
    PRETRAIN: Smoke(more=TINY_TRAINING, after=(TRAIN_TOKENIZER,)),
    TRAIN_BIGBIRD_TOKENIZER: Smoke(more="--vocab-size 300 --held-out 0.4"),
    "python -m training.pretrain notes.jsonl --config training/demo_bigbird.config.json --tokenizer bigbird_tokenizer "
    "--steps 1000 --warm-up 100 --no-bf16 --output bigbird_checkpoint --work bigbird-run": Smoke(
        more=TINY_TRAINING, after=(TRAIN_BIGBIRD_TOKENIZER,)
    ),
    "python -m training.stock_entities": STOCK_FEED,
    "python -m training.evaluate training/demo_checkpoint notes.jsonl": Smoke(more="--held-out 0.4", after=(PRETRAIN,)),
    "torchrun --nproc-per-node 6 -m training.pretrain mimic_iii_notes.parquet --init allenai/longformer-base-4096 "
    "--lr 3e-5 --steps 200000 --length 4096 --batch 3 --warm-up 1000 --masked-share 0.15 --held-out 0.001 "
    "--output checkpoint --work run": Smoke(more=TINY_TRAINING, instead={"6": "2"}),
}
"""A command that others begin with, such as `sparkclin export`, names these and needs no entry."""


def name_of(command: str) -> str:
    """A short name for the test of a command."""
    return re.sub(r"\W+", "_", command.removeprefix("python -m "))[-60:]


def documented() -> dict[str, list[str]]:
    """Each printed command, without `.venv/bin/` and comments, and the documents that print it."""
    found: dict[str, list[str]] = {}
    for name in DOCUMENTS:
        for command in commands_in((ROOT / name).read_text(encoding="utf-8")):
            found.setdefault(command, []).append(name)
    return found


def commands_in(text: str) -> list[str]:
    """Those of fenced blocks, where a backslash continues a line, and those between backticks."""
    fence = re.compile(r"^ *```\w*\n(.*?)^ *```", flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in fence.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    printed = [*lines, *re.findall(r"`([^`]+)`", fence.sub("", text))]
    commands = (" ".join(re.split(r"\s#\s", line)[0].split()).removeprefix(".venv/bin/") for line in printed)
    return [command for command in commands if COMMAND.match(command)]


def test_every_printed_command_is_run_somewhere() -> None:
    unknown = {
        command: documents
        for command, documents in documented().items()
        if not any(listed.startswith(command) for listed in COMMANDS)
    }
    assert unknown == {}, "say in COMMANDS how it runs"


def test_every_command_of_the_table_is_printed() -> None:
    assert set(COMMANDS) - documented().keys() == set()


@pytest.mark.parametrize("test", sorted({how.test for how in COMMANDS.values() if not isinstance(how, Smoke)}))
def test_the_tests_that_run_a_command_exist(test: str) -> None:
    file, name = test.split("::")
    assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")


def test_a_new_command_is_noticed() -> None:
    text = "`sparkclin models` and\n```\n.venv/bin/sparkclin export x \\\n    --new   # why\n```\nand `note_id`"
    assert commands_in(text) == ["sparkclin export x --new", "sparkclin models"]
    assert commands_in("- so:\n\n  ```\n  make x\n  ```\n\n  and `make y`") == ["make x", "make y"]


@pytest.mark.parametrize("command", [command for command, how in COMMANDS.items() if isinstance(how, DryRun)])
def test_what_make_would_run_is_right(command: str) -> None:
    target, *arguments = shlex.split(command)[1:]
    dry = ["make", "--dry-run", "--always-make", target, *arguments]
    # Without what `make test` tells a make that it starts.
    recipe = subprocess.run(dry, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=True).stdout
    words = shlex.split(recipe.strip().splitlines()[-1])
    if target == "lint":
        assert [line.split()[0] for line in recipe.splitlines() if " -m pip " not in line and "/ruff" in line] == [
            ".venv/bin/ruff",
            ".venv/bin/ruff",
        ]
        assert words == [".venv/bin/mypy"]
        return
    if target == "test":
        assert words[:5] == [".venv/bin/python", "-m", "pytest", "-m", "not release"]
        return
    if target == "release-test":
        assert words == [".venv/bin/python", "-m", "pytest", "-m", "release"]
        return
    assert words[:3] == [".venv/bin/python", "-m", "benchmarks"]
    benchmarks = import_module("benchmarks.__main__")
    assert benchmarks.to_options(benchmarks.parser().parse_args(words[3:])).contenders is not None


OF_THE_NODES = {"spark.pyspark.python", "spark.yarn.appMasterEnv.PYSPARK_PYTHON"}
"""Settings of a cluster's own paths."""


@pytest.mark.parametrize("command", OF_CLUSTERS)
def test_a_line_for_a_cluster_is_right(command: str) -> None:
    """As far as can be seen without such a cluster: spark-submit and the run know the options, and what is set is what
    sparkclin sets."""
    words = shlex.split(command)
    script = next(index for index, word in enumerate(words) if word.endswith("embed_notes.py"))
    ours, theirs = words[script + 1 :], words[1:script]
    assert embed.parser().parse_args(ours).model == "clinical_longformer"
    help_text = [str(Path(pyspark.__file__).parent / "bin" / "spark-submit"), "--help"]
    known = subprocess.run(help_text, capture_output=True, text=True, check=True)
    options = theirs[::2]
    assert [option for option in options if option not in re.findall(r"--[a-z-]+", known.stdout + known.stderr)] == []
    table = {setting.key: setting.value for setting in SETTINGS}
    asked = dict(value.split("=", 1) for option, value in zip(options, theirs[1::2], strict=True) if option == "--conf")
    assert {key: value for key, value in asked.items() if table.get(key) != value}.keys() <= OF_THE_NODES


@pytest.mark.export
@pytest.mark.parametrize("command", [command for command in COMMANDS if " -e " in command])
def test_an_extra_can_be_installed(command: str) -> None:
    """Without doing it again: this environment has it."""
    words = shlex.split(command)
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", *words[words.index("install") + 1 :]]
    done = subprocess.run(pip, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Would install" not in done.stdout.replace("Would install sparkclin-0.1.0", "")


@dataclass(frozen=True)
class Workspace:
    """A folder with the files that the printed commands name, in a small size."""

    folder: Path
    done: set[str]

    def run(self, command: str) -> None:
        """Once, and after those that it needs."""
        how = COMMANDS[command]
        assert isinstance(how, Smoke)
        for earlier in how.after:
            self.run(earlier)
        if command not in self.done:
            words = [how.instead.get(word, word) for word in shlex.split(f"{command} {how.more}")]
            with chdir(self.folder):
                execute([words[0], *(self.absolute(word, after=previous) for previous, word in pairwise(words))])
            self.done.add(command)

    def absolute(self, word: str, *, after: str) -> str:
        """A path below the folder in full: Spark's JVM was started elsewhere."""
        is_there = after != "sparkclin" and (self.folder / word).exists()  # `models` after it is what it is to do
        is_path = after in ("--models", "--output", "--work") or is_there
        return str(self.folder / word) if is_path else word


def execute(words: Sequence[str]) -> None:
    """In this process, by the function behind the command; torchrun starts processes of its own."""
    if words[0] == "torchrun":
        torchrun = [sys.executable, "-m", "torch.distributed.run", *words[1:]]
        subprocess.run(torchrun, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL)
        return
    main, arguments = entry_point(words)
    assert main(arguments) in (0, None)


def entry_point(words: Sequence[str]) -> tuple[Callable[[Sequence[str]], int | None], Sequence[str]]:
    """The function that the command calls, and what it is called with."""
    match words:
        case ["python", "-m", package, *arguments] if (ROOT / package.replace(".", "/") / "__main__.py").exists():
            name = f"{package}.__main__"
        case ["python", "-m", name, *arguments]:
            pass
        case ["spark-submit", script, *arguments]:
            name = ".".join(Path(script).with_suffix("").parts)
        case ["sparkclin", *arguments]:
            name = "sparkclin.cli"
        case _:
            raise AssertionError(f"{words[0]} cannot be run in this process")
    return import_module(name).main, arguments


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    checkpoints = pytest.importorskip("testkit.checkpoints", reason="the export extra is not installed")
    folder = tmp_path_factory.mktemp("reader")
    # Under new ids: by their own, all sample notes are held out from training.
    samples = enumerate(packaged_notes()[:N_NOTES])
    notes = [asdict(replace(note, note_id=str(number), text=note.text[:400])) for number, note in samples]
    (folder / "notes.jsonl").write_text("".join(json.dumps(note) + "\n" for note in notes), encoding="utf-8")
    for name in ("notes.parquet", "mimic_iii_notes.parquet"):
        pd.DataFrame(notes).to_parquet(folder / name)
    checkpoints.random_checkpoint(folder / "yikuan8" / "Clinical-Longformer")
    # One window for all layers: transformers pads a row to a multiple of the widest only.
    checkpoints.random_checkpoint(folder / "allenai" / "longformer-base-4096", attention_window=8)
    (folder / "sparkclin").symlink_to(ROOT / "sparkclin")
    (folder / "training").mkdir()
    for name, smaller in TINY_CONFIGS.items():
        config = json.loads((ROOT / "training" / name).read_text(encoding="utf-8"))
        (folder / "training" / name).write_text(json.dumps({**config, **smaller}), encoding="utf-8")
    return Workspace(folder, set())


@pytest.mark.slow
@pytest.mark.export
@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize(
    "command", [command for command, how in COMMANDS.items() if isinstance(how, Smoke)], ids=name_of
)
def test_a_printed_command_runs(command: str, workspace: Workspace) -> None:
    workspace.run(command)
