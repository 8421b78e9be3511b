"""What people read: tables that line up, costliest first, nothing hidden."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from latlint.checks.types import Finding
from latlint.latency.types import KernelPrediction, PartitionPrediction, Prediction
from latlint.outcome import InputError, Report, Verdict
from latlint.report import csv, markdown, text
from latlint.report.plain import Cell, Style, clean, columns, shorten, table


def kernel(index: int, op: str, latency_ms: float, **fields: object) -> KernelPrediction:
    given = {
        "nodes": (f"block/{op}",),
        "linked": (),
        "implementation": op,
        "source": "predicted",
        "macs": 0,
        "bytes": 1000,
        "partition": 0,
        **fields,
    }
    return KernelPrediction(index=index, op=op, latency_ms=latency_ms, **given)  # type: ignore[arg-type]


def prediction(
    *kernels: KernelPrediction, target: str = "pixel-4/gpu", overhead_ms: float = 0.5, **fields: object
) -> Prediction:
    total = sum(k.latency_ms for k in kernels) + overhead_ms
    given = {
        "model": "models/m.tflite",
        "sha256": "0" * 64,
        "format": "tflite",
        "precision": "float32",
        "runtime": "tflite-2.10/gpu-delegate",
        "delegate": "gpu",
        "latency_ms": total,
        "low_ms": 0.9 * total,
        "high_ms": 1.1 * total,
        "interval": 0.9,
        "coverage": 1.0,
        "macs": 300_774_272,
        "partitions": (PartitionPrediction("gpu", len(kernels), total),),
        **fields,
    }
    return Prediction(target=target, overhead_ms=overhead_ms, kernels=tuple(kernels), **given)  # type: ignore[arg-type]


def report(*predictions: Prediction, budget_ms: float | None = None, **fields: object) -> Report:
    return Report(
        predictions=predictions,
        files=len({p.model for p in predictions}),
        targets=tuple(dict.fromkeys(p.target for p in predictions)),
        verdicts=tuple(
            Verdict(
                budget_ms,
                budget_ms is None or p.latency_ms <= budget_ms,
                chance=None if budget_ms is None else p.chance_above(budget_ms),
            )
            for p in predictions
        ),
        **fields,  # type: ignore[arg-type]
    )


THREE = prediction(
    kernel(0, "conv2d", 1.0, linked=("add", "relu"), implementation="convolution_2d", macs=10_838_016),
    kernel(1, "mean", 3.5, source="derived"),
    kernel(2, "reshape", 0.0, source="free"),
)


def test_kernels_come_costliest_first_and_add_up() -> None:
    assert text.predict(report(THREE), Style()) == (
        "models/m.tflite  TFLite · float32 · 301 M MACs\n"
        "\n"
        "pixel-4/gpu  5.00 ms  90% within 4.50–5.50 ms\n"
        "  tflite-2.10/gpu-delegate · coverage 100% · 1 op without a kernel\n"
        "\n"
        "     ms  share            op                   runs as                    MACs  node\n"
        "  3.500  70.0%  ████████  mean                 mean            derived          block/mean\n"
        "  1.000  20.0%  ██▎       conv2d + add + relu  convolution_2d           10.8 M  block/conv2d\n"
        "  0.500  10.0%            overhead\n"
        "  5.000   100%            total\n"
    )


def test_what_is_cut_from_the_table_is_counted() -> None:
    many = prediction(*(kernel(i, "conv2d", 1.0 + i) for i in range(5)))
    shown = text.predict(report(many), Style(top=2))
    assert re.search(r"^\s+6\.000 +38\.7% +… and 3 more$", shown, re.MULTILINE)
    assert "more" not in text.predict(report(many), Style(top=None))
    assert len(re.findall(r"block/conv2d", text.predict(report(many), Style(top=None)))) == 5


def test_ops_that_are_not_understood_are_named() -> None:
    shown = text.predict(
        report(
            prediction(
                kernel(0, "conv2d", 1.0),
                *(kernel(i, "unknown", 0.0, source="unknown", implementation="FooBar") for i in (1, 2)),
                coverage=0.4,
                unknown={"FooBar": 2},
            )
        ),
        Style(),
    )
    assert "coverage 40%" in shown
    assert "not known, counted as 0 ms: FooBar ×2" in shown


def test_partitions_are_listed_in_order_while_they_are_few() -> None:
    parts = [
        PartitionPrediction("gpu", 10, 2.0),
        PartitionPrediction("builtin", 1, 0.25),
        PartitionPrediction("gpu", 3, 1.0),
    ]
    few = text.predict(report(prediction(kernel(0, "conv2d", 1.0), partitions=tuple(parts))), Style())
    assert "3 partitions: gpu (10 nodes, 2.00 ms) → builtin (1 node, 0.250 ms) → gpu (3 nodes, 1.00 ms)" in few
    many = text.predict(report(prediction(kernel(0, "conv2d", 1.0), partitions=tuple(parts * 4))), Style())
    assert "12 partitions: 8 × gpu (52 nodes, 12.0 ms), 4 × builtin (4 nodes, 1.00 ms)" in many


def test_fallbacks_are_summed_up_by_reason_costliest_first() -> None:
    kernels = [
        kernel(0, "conv2d", 9.0, reason="the kernel is not 3x3"),
        kernel(1, "mean", 2.0, partition=1, reason="axes 1 and 3"),
        kernel(2, "gather", 1.0, partition=1, reason="'x' has 5 dimensions"),
        kernel(3, "top_k", 2.5, partition=1, reason="'y' has 5 dimensions"),
    ]
    partitions = (PartitionPrediction("gpu", 1, 9.0), PartitionPrediction("builtin", 3, 5.5))
    shown = text.predict(report(prediction(*kernels, partitions=partitions)), Style())
    assert (
        "  not on the GPU:\n    3.50 ms  … has 5 dimensions  gather, top_k\n    2.00 ms  axes 1 and 3        mean\n"
    ) in shown
    assert "the kernel is not 3x3" not in shown


def test_many_targets_are_compared_instead_of_listed() -> None:
    predictions = [prediction(kernel(0, "conv2d", 1.0 + i), target=f"phone-{i}/gpu") for i in range(5)]
    shown = text.predict(report(*predictions), Style())
    assert "block/conv2d" not in shown
    assert re.search(r"^  phone-4/gpu  5\.50 ms  4\.95–6\.05  █{24}$", shown, re.MULTILINE)
    assert "block/conv2d" in text.predict(report(*predictions), Style(kernels_chosen=True))


def test_notes_are_shown_once() -> None:
    noted = [
        prediction(kernel(0, "conv2d", 1.0), target=f"phone-{i}/gpu", notes=("as if converted",)) for i in range(5)
    ]
    assert text.predict(report(*noted), Style()).count("note: as if converted") == 1


def test_check_has_a_line_for_each_target_and_one_for_the_run() -> None:
    slow = prediction(kernel(0, "conv2d", 12.0), kernel(1, "mean", 0.5))
    fast = prediction(kernel(0, "conv2d", 1.0), target="pixel-4/cpu-1large")
    over = Finding(
        "LAT101",
        "budget-exceeded",
        "error",
        slow.model,
        "13.0 ms is too much; what costs most: …",
        slow.target,
        ("block/conv2d",),
        slow.latency_ms,
        10.0,
        headline="13.0 ms is too much",
    )
    covered = Finding("LAT010", "low-coverage", "warning", fast.model, "coverage 50% is below 80%", fast.target)
    shown = text.check(
        report(
            slow,
            replace(fast, coverage=0.5),
            budget_ms=10.0,
            findings=(over, covered),
            errors=(InputError("x", "LAT001", "…"),),
        ),
        Style(),
    )
    assert shown == (
        "models/m.tflite  TFLite · float32 · 301 M MACs\n"
        "  FAIL  pixel-4/gpu         13.0 ms  [11.7–14.3]  budget 10 ms  +30%\n"
        "        LAT101 budget-exceeded: 13.0 ms is too much; what costs most:\n"
        "          12.0 ms  92.3%  conv2d  conv2d  block/conv2d\n"
        "  PASS  pixel-4/cpu-1large  1.50 ms  [1.35–1.65]  budget 10 ms  −85%  50% covered\n"
        "        LAT010 low-coverage: coverage 50% is below 80%\n"
        "\n"
        "1 model on 2 targets: 1 over budget, 1 within budget, 1 warning, 1 file not read\n"
    )


@pytest.mark.parametrize(
    ("budget_ms", "doubtful"), [(4.49, False), (4.51, True), (5.0, True), (5.49, True), (5.51, False)]
)
def test_a_budget_inside_the_interval_is_said_to_be(budget_ms: float, doubtful: bool) -> None:
    shown = text.check(report(THREE, budget_ms=budget_ms), Style())
    assert ("% likely to be over" in shown) is doubtful


@pytest.mark.parametrize(
    ("verdict", "row", "counted", "mark", "in_csv"),
    [
        (Verdict(10.0, True), "PASS", "1 within budget", "✅", ",10.0,pass,"),
        (Verdict(10.0, True, "high"), "PASS", "1 within budget", "✅", ",10.0,pass,"),
        (Verdict(10.0, True, "low", warned=True), "WARN", "1 with a budget warning", "⚠️", ",10.0,warn,"),
        (Verdict(10.0, False, "high"), "FAIL", "1 over budget", "❌", ",10.0,fail,"),
        (Verdict(None, False, others=True), "FAIL", "1 over budget", "❌", ",,fail,"),
        (Verdict(None, True, others=True), "PASS", "1 within budget", "✅", ",,pass,"),
        (Verdict(None, True), " – ", "1 without a budget", "–", ",,,"),
    ],
)
def test_every_format_says_the_same_of_a_budget(
    verdict: Verdict, row: str, counted: str, mark: str, in_csv: str
) -> None:
    shown = replace(report(prediction(kernel(0, "conv2d", 9.5))), verdicts=(verdict,))
    said = text.check(shown, Style())
    assert f"  {row}" in said
    assert said.endswith(f"1 model on 1 target: {counted}\n")
    assert f"| {mark} | models/m.tflite" in markdown.check(shown, Style())
    assert in_csv in csv.check(shown, Style())
    if verdict.budget_ms:
        end = "" if verdict.gate == "point" else f" ({verdict.gate} end)"
        change = {"point": "+0%", "low": "−10%", "high": "+10%"}[verdict.gate]
        assert f"budget 10 ms{end}  {change}" in said
        assert f"| 10 ms{end} |" in markdown.check(shown, Style())


def test_check_without_a_budget_passes_no_verdict() -> None:
    shown = text.check(report(THREE), Style())
    assert "PASS" not in shown
    assert shown.endswith("\n\n1 model on 1 target: 1 without a budget\n")


def test_names_from_a_model_file_cannot_steer_the_terminal() -> None:
    nasty = "a\x1b[31mred\x07\n::error::x\u202egnp.\u200bz\ud800"
    shown = text.predict(
        report(prediction(kernel(0, "conv2d", 1.0, nodes=(nasty,)), model=nasty, notes=(nasty,))), Style()
    )
    assert all(char == "\n" or char.isprintable() for char in shown)
    assert not any(line.lstrip().startswith("::") for line in shown.splitlines())
    assert "\\x1b[31mred\\x07\\n::error::x\\u202egnp.\\u200bz\\ud800" in shown


def test_a_name_of_a_megabyte_is_cut() -> None:
    assert len(clean("x" * 1_000_000)) == 1001
    shown = text.predict(report(prediction(kernel(0, "conv2d", 1.0, nodes=("n" * 1_000_000,)))), Style(width=100))
    assert max(map(len, shown.splitlines())) <= 100


def test_colour_changes_nothing_but_the_colour() -> None:
    for render in (text.predict, text.check):
        plain, painted = (
            render(report(THREE, budget_ms=1.0), Style()),
            render(report(THREE, budget_ms=1.0), Style(colour=True)),
        )
        assert "\x1b[" not in plain
        assert "\x1b[" in painted
        assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == plain


def test_tables_count_columns_not_characters() -> None:
    lines = table([[Cell("模型"), Cell("x")], [Cell("abcd"), Cell("x")], [Cell("e\u0301"), Cell("x")]], "<<", Style())
    assert lines == ["模型  x", "abcd  x", "e\u0301     x"]


def test_a_node_that_took_in_others_goes_by_its_own_name() -> None:
    joined = kernel(0, "conv2d", 1.0, nodes=("net/conv1/Relu;net/conv1/Conv2D;net/conv9/Conv2D",))
    shown = text.predict(report(prediction(joined)), Style())
    assert "  net/conv1/Relu\n" in shown


@pytest.mark.parametrize("width", [1, 2, 5, 11, 40])
def test_a_shortened_name_keeps_its_end_and_fits(width: int) -> None:
    short = shorten("模型/block_12/模型/expand", width)
    assert columns(short) <= width
    assert "模型/block_12/模型/expand".endswith(short.removeprefix("…"))


def test_a_run_over_many_files_is_shown_as_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    many = report(
        *(prediction(kernel(0, "conv2d", 1.0), model=f"m{i}.tflite") for i in range(5)),
        budget_ms=1.0,
        findings=(Finding("LAT902", "unused-waiver", "warning", "latlint.toml", "a waiver covers nothing"),),
    )
    seen = 0

    def parts() -> Iterator[Report]:
        nonlocal seen
        for part in many.parts():
            seen += 1
            yield part

    for pieces_of, whole, after in (
        (text.check_parts, text.check(many, Style()), [2, 4, 6, 6]),
        (text.predict_parts, text.predict(many, Style()), [1, 2, 3, 4, 5]),
    ):
        monkeypatch.setattr(text, "_ALIGNED_FILES", 2)
        seen = 0
        told = [(seen, piece) for piece in pieces_of(many, parts(), Style())]
        assert [count for count, _ in told] == after
        assert "".join(piece for _, piece in told) == whole
