"""The examples of the guide to Python and notebooks run one after the other, from any folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from testkit.demo import DEMO_NOTES

GUIDE = Path(__file__).parents[1] / "docs" / "how-to" / "python.md"


@pytest.mark.usefixtures("spark")
def test_the_examples_do_what_is_said_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    notes = DEMO_NOTES.read_text(encoding="utf-8").splitlines(keepends=True)[:12]
    Path("notes.jsonl").write_text("".join(notes), encoding="utf-8")
    names: dict[str, Any] = {}
    nearest, by_stay, lists, encoded, missing, model, spark, stock = re.findall(
        r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    assert len([line for line in nearest.splitlines() if line]) == 5

    exec(nearest, names)
    found = names["found"]
    assert len(found) == 10
    assert found.cosine.is_monotonic_decreasing
    assert names["notes"].note_id[0] not in found.note_id.tolist()
    assert "cosine" in capsys.readouterr().out

    exec(by_stay, names)
    assert names["by_stay"].status.tolist() == ["ok", "null"]
    assert names["by_stay"].vector[1] is None

    exec(lists, names)
    assert [None if vector is None else vector.shape for vector in names["vectors"]] == [(192,), None, (192,)]
    assert [None if matrix is None else matrix.shape for matrix in names["words"]] == [(4, 192), None, (5, 192)]
    assert names["drugs"][1] is None
    assert any(entity["text"] == "aspirin" for entity in names["drugs"][2])

    exec(encoded, names)
    np.testing.assert_allclose(np.diag(names["similarity"]), 1, atol=1e-5)

    exec(missing, names)
    assert len(names["kept"]) == 2
    assert np.isnan(names["whole"]).all(axis=1).tolist() == [False, True, False]

    exec(model, names)
    assert "int8" in capsys.readouterr().out
    assert names["fast"].shape == (1, 192)

    exec(spark, names)
    assert names["matrix"].shape == (12, 192)
    names["vectors"].unpersist()

    exec(stock, names)
