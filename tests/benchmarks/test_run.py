"""What a run makes of its options, and of contenders that cannot be prepared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import ours, stock
from benchmarks.attention import PATTERNS
from benchmarks.contenders import CONTENDERS, OURS, STOCK, needs_nothing
from benchmarks.errors import RunError
from benchmarks.job import Job, Store
from benchmarks.ours import hash_sources, models_folder
from benchmarks.plan import SCALING
from benchmarks.run import RunOptions, is_ready, open_store, scaled_contender, smoke_options, to_plan
from benchmarks.shape import TINY
from benchmarks.tasks import ANSWER, ENTITIES, TASKS
from benchmarks.trials import Sitting, Trial
from sparkclin.errors import OptionError
from testkit.material import read_material


def store_in(folder: Path) -> Store:
    return Store(folder=folder, shape=TINY, models=folder / "models")


def test_everything_is_measured_where_nothing_is_asked() -> None:
    assert RunOptions().contenders == list(CONTENDERS)
    assert RunOptions().tasks == TASKS
    assert RunOptions().scaling == SCALING
    assert RunOptions().patterns == PATTERNS


def test_only_what_is_asked_is_measured_in_the_order_of_the_table() -> None:
    options = RunOptions(only=("sparkclin onnx int8", "stock"))
    assert [contender.name for contender in options.contenders] == ["stock", "sparkclin onnx int8"]
    assert options.tasks == TASKS
    assert (options.scaling, options.patterns) == ((), ())
    assert RunOptions(only=("windows", "cores")).scaling == ("cores", "windows")
    assert RunOptions(only=("scaling",)).scaling == SCALING
    assert RunOptions(only=("scaling",)).tasks == ()


def test_a_task_is_measured_with_all_contenders_or_with_those_that_are_named() -> None:
    assert RunOptions(only=("answer", "entities")).tasks == (ENTITIES, ANSWER)
    assert RunOptions(only=("answer",)).contenders == list(CONTENDERS)
    both = RunOptions(only=("answer", "stock"))
    assert ([c.name for c in both.contenders], both.tasks) == (["stock"], (ANSWER,))
    assert (both.scaling, both.patterns) == ((), ())
    assert RunOptions(workloads=("sentences", "long")).workloads_of(ANSWER) == ["long"]


def test_attention_is_a_part_by_itself() -> None:
    only = RunOptions(only=("attention",))
    assert only.patterns == PATTERNS
    assert (only.contenders, only.tasks, only.scaling) == ([], (), ())


def test_every_model_has_a_folder_and_a_head_of_its_own(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    options = smoke_options(out=tmp_path, work=tmp_path)
    material = read_material(Path("not there"))
    stores = {task.name: open_store(options, material, task=task) for task in TASKS}
    stores["bigbird"] = open_store(options, material, is_bigbird=True)
    assert len({store.folder for store in stores.values()}) == len(stores)
    configs = {name: json.loads((s.checkpoint / "config.json").read_text()) for name, s in stores.items()}
    assert {name: config["architectures"] for name, config in configs.items()} == {
        "embed": ["LongformerForMaskedLM"],
        "entities": ["LongformerForTokenClassification"],
        "classify": ["LongformerForSequenceClassification"],
        "answer": ["LongformerForQuestionAnswering"],
        "bigbird": ["BigBirdForMaskedLM"],
    }
    assert tuple(configs["entities"]["id2label"].values()) == ENTITIES.labels


@pytest.mark.parametrize(
    ("wrong", "message"), [({"only": ("nobody",)}, "nobody"), ({"rounds": 0}, "rounds"), ({"seconds": 0}, "seconds")]
)
def test_wrong_options_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        RunOptions(**wrong)  # type: ignore[arg-type]


def test_a_contender_that_lacks_something_is_left_out_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock, "SCRIPT", tmp_path / "not there")
    missing: dict[str, str] = {}
    assert not is_ready(STOCK, store_in(tmp_path), missing)
    assert not is_ready(STOCK, replace(store_in(tmp_path), task=ENTITIES), missing)
    reason = "needs shared/peers/stock_longformer.py beside the checkout"
    assert missing == {"stock": reason, "entities stock": reason}


def test_the_fastest_of_ours_that_can_be_prepared_is_scaled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(store: Store) -> None:
        raise RunError(f"no {store.shape.layers} layers")

    slow, fast = (replace(OURS[0], name=name, prepare=needs_nothing) for name in ("slow", "fast"))
    broken = replace(OURS[0], name="fastest", prepare=fail)
    monkeypatch.setattr("benchmarks.run.OURS", [slow, fast, broken])
    missing: dict[str, str] = {}
    assert scaled_contender(RunOptions(only=("scaling",)), store_in(tmp_path), missing) == fast
    assert set(missing) == {"fastest"}


def test_the_plan_counts_starts_and_readings_by_part(tmp_path: Path) -> None:
    store = store_in(tmp_path)

    def sitting(part: str, *expected_s: float) -> Sitting:
        job = Job(contender="stock", store=store, readings=(), cpus=(0,), master="")
        trials = [
            Trial(
                part=part, series="", case="", job=job, n_rows=1, n_pieces=1, n_windows=1, start_s=60, expected_s=each
            )
            for each in expected_s
        ]
        return Sitting(part=part, trials=tuple(trials))

    planned = [sitting("embed", 10, 20, 30), sitting("embed", 30, 30), sitting("scaling", 60)]
    assert to_plan(planned, rounds={"embed": 2, "scaling": 1}.__getitem__, rates_s=15).splitlines() == [
        "some 11 minutes",  # with the matrix rates before and after all
        "  embed: 5 cases in 2 processes, 2 of each, 8.5 minutes",
        "  scaling: 1 cases in 1 processes, 1 of each, 2.2 minutes",
    ]


def test_versions_of_a_model_are_made_by_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does not make, each contender tries by itself."""
    commands: list[Sequence[str]] = []

    def run_logged(command: Sequence[str], *, log: Path) -> None:
        commands.append(command)
        raise RunError(f"see {log}")

    monkeypatch.setattr(ours, "run_logged", run_logged)
    store, variants = store_in(tmp_path), [contender.variant for contender in OURS if contender.variant]
    ours.prepare_together(store, variants)
    assert [command[2:] for command in commands] == [
        [
            "benchmarks.models",
            str(store.checkpoint),
            str(store.models),
            *("tensorflow:fp32", "onnx:fp32", "onnx:int8", "openvino:fp32", "openvino:bf16", "openvino:int8"),
        ]
    ]
    ours.prepare_together(store, variants[:1])  # one by itself is left to its contender
    assert len(commands) == 1
    with pytest.raises(RunError, match="export-onnx-int8"):
        ours.prepare(store, variants[2])
    assert commands[-1][-1] == "onnx:int8"


def test_bundles_of_an_earlier_exporter_are_not_kept(tmp_path: Path) -> None:
    earlier = tmp_path / "models-0123456789ab"
    earlier.mkdir()
    folder = models_folder(tmp_path)
    folder.mkdir()
    assert models_folder(tmp_path) == folder
    assert list(tmp_path.iterdir()) == [folder]


def test_an_exporter_is_known_by_all_of_its_sources(tmp_path: Path) -> None:
    (tmp_path / "export" / "graph").mkdir(parents=True)
    sources = [tmp_path / "export" / "graph" / "onnx.py", tmp_path / "engines.py"]
    hashes: set[str] = set()
    for source in (*sources, *sources):
        source.write_text(f"# version {len(hashes)}")
        sources[1].touch()
        hashes.add(hash_sources(tmp_path, ["export", "engines.py"]))
    assert len(hashes) == 4


def test_an_exporter_that_has_moved_is_not_forgotten(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="export has no Python files"):
        hash_sources(tmp_path, ["export"])
