"""What the cards say of their accuracy is what the benchmark last measured, and README quotes the same."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

from tests.targets import phones

REPOSITORY = Path(__file__).resolve().parent.parent
RECORD = json.loads((REPOSITORY / "benchmarks" / "accuracy.json").read_text("utf-8"))


def test_the_cards_state_what_the_benchmark_recorded() -> None:
    recorded = {
        (row["target"], row["precision"]): {key: row[key] for key in row if key not in {"target", "precision"}}
        for row in RECORD["targets"]
    }
    stated = {
        (name, precision): accuracy
        for name, target in phones().items()
        for precision, accuracy in target.card["accuracy"].items()
    }
    assert stated == recorded


def test_pages_quote_the_record() -> None:
    benchmark = runpy.run_path(str(REPOSITORY / "benchmarks" / "accuracy.py"))
    for page in benchmark["PAGES"]:
        text = page.read_text("utf-8")
        assert "<!-- accuracy: " in text
        assert benchmark["with_tables"](text, RECORD) == text, page.name


def test_the_page_on_devices_of_ones_own_quotes_what_pack_build_comes_to() -> None:
    benchmark = runpy.run_path(str(REPOSITORY / "benchmarks" / "pack_build.py"))
    record = json.loads(benchmark["RECORD"].read_text("utf-8"))
    assert f"<!-- pack build -->\n{benchmark['table'](record)}<!-- end -->" in benchmark["PAGE"].read_text("utf-8")
    assert record and all(said.split(",")[0].endswith("/npu@qnn int16") for said in benchmark["worse"](record))
    poor = {"pixel-4/gpu float32": {"5": {"gap": 3.0, "noise": 1.0}, "10": {"gap": 1.9, "noise": 1.0}}}
    assert benchmark["worse"](poor) == ["pixel-4/gpu float32, 5 networks: worse by 3.0 ± 1.0 %"]
