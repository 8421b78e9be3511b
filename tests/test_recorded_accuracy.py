"""What the cards say of their accuracy is what the benchmark last measured, and README quotes the same."""

from __future__ import annotations

import json
from pathlib import Path

from latlint.latency.packs import load_targets

REPOSITORY = Path(__file__).resolve().parent.parent
RECORD = json.loads((REPOSITORY / "benchmarks" / "accuracy.json").read_text("utf-8"))


def test_the_cards_state_what_the_benchmark_recorded() -> None:
    recorded = {
        (row["target"], row["precision"]): {key: row[key] for key in row if key not in {"target", "precision"}}
        for row in RECORD["targets"]
    }
    stated = {
        (name, precision): accuracy
        for name, target in load_targets().items()
        for precision, accuracy in target.card["accuracy"].items()
    }
    assert stated == recorded


def test_readme_quotes_the_recorded_means() -> None:
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    for name, group in RECORD["groups"].items():
        row = next(line for line in readme.splitlines() if line.startswith(f"| {name.replace(' ', ', ')} |"))
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[1] == str(group["targets"])
        assert cells[2] == f"{group['mean_error_percent']:.1f} %"
        assert cells[3] == f"{group['median_error_percent']:.1f} %"
        assert cells[4] == f"{group['within_10_percent']:.0%}".replace("%", " %")
        assert cells[5] == f"{group['noise_percent']:.1f} %"
