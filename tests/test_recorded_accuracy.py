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
    assert record and benchmark["worse"](record) == []


def test_a_cell_is_worse_by_more_than_noise_where_a_table_of_its_size_has_none_like_it_by_chance() -> None:
    """Holm's rule: thresholds of 3.07 and 4.04 standard errors for the worst of 21 and of 281 cells, by Student's t of 29 degrees of freedom."""
    worse = runpy.run_path(str(REPOSITORY / "benchmarks" / "pack_build.py"))["worse"]

    def table(cells: int, *gaps: float) -> dict[str, dict[str, dict[str, float]]]:
        found = {str(at): {"draws": 30, "gap": gap, "noise": 1.0} for at, gap in enumerate([*gaps, *[0.0] * cells])}
        return {"pixel-4/gpu float32": found}

    assert worse(table(20, 3.1)) == ["pixel-4/gpu float32, 0 networks: worse by 3.1 ± 1.0 %"]
    assert worse(table(280, 3.1)) == worse(table(20, 3.0)) == []
    # what one cell must exceed is less once a worse one is known to be no chance
    assert len(worse(table(20, 9.0, 3.07))) == 2
    assert len(worse(table(20, 3.07, 3.07))) == 0
    assert worse({"pixel-4/gpu float32": {"5": {"draws": 1, "gap": 9.0, "noise": 0.0}}}) == []
