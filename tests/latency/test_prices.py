"""Prices of ops are within the limit of what one machine was measured to take for them (``benchmarks/prices.json``)."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from latlint.graph.ops import KINDS

BENCHMARK: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "prices.py"))
RECORD = json.loads(BENCHMARK["RECORD"].read_text("utf-8"))


def test_every_kind_of_op_has_a_form_or_a_word_on_its_price() -> None:
    forms = {form.kind for form in (*BENCHMARK["FORMS"], *BENCHMARK["ONLY_INT8"])}
    others = {kind for kinds in BENCHMARK["OTHERS"] for kind in kinds.split()}
    assert forms | others == KINDS
    assert not forms & others


@pytest.mark.slow
def test_prices_are_within_the_limit_and_the_page_shows_them() -> None:
    rows = BENCHMARK["table"](RECORD)
    assert BENCHMARK["off"](rows) == []
    beyond = {row.key for row in rows if row.origin != "phones" and row.worst > BENCHMARK["LIMIT"]}
    assert beyond <= BENCHMARK["BEYOND"].keys()
    assert len([row for row in rows if row.origin == "this machine"]) > 60
    assert f"<!-- prices -->\n{BENCHMARK['markdown'](rows)}<!-- end -->" in BENCHMARK["PAGE"].read_text("utf-8")


def test_a_price_is_off_where_both_libraries_lie_on_one_side_of_it() -> None:
    row = BENCHMARK["Row"]("pow, float32", "this machine", {}, {"a": (2.0, 0.5, 1.0), "b": (1.8, 2.0, 1.1)})
    assert row.worst == pytest.approx(1.8)
    assert BENCHMARK["off"]([row, row._replace(origin="phones")]) == ["pow, float32: off by a factor of 1.80"]
