"""The HTML report as people meet it: opened in Chromium, read, sorted, driven by keyboard alone, and checked by axe-core."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import geometric_mean
from typing import Any
from urllib.parse import quote

import pytest

from latlint.api import Run
from latlint.checks import by_code
from latlint.latency.types import Prediction
from latlint.outcome import Change, InputError, Report, Verdict
from latlint.report import html, render
from latlint.report.plain import Style
from latlint.settings import Settings
from latlint.units import format_ms
from tests.pages import DESKTOP, PHONE, data_of, unreachable, violations, written
from tests.report.conftest import HOSTILE, over_budget, prediction

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checked(model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Two real models on three targets, with budgets kept and broken, and a file that is no model."""
    broken = tmp_path_factory.mktemp("broken") / "broken.tflite"
    broken.write_bytes(b"\x20\0\0\0TFL3" + bytes(8))
    settings = Settings(targets=("pixel-4/gpu", "pixel-4/cpu-1large", "galaxy-s10/gpu")).with_flags(budgets=["5ms"])
    paths = [str(model("mobilenet_v2.tflite")), str(model("one_gelu.tflite")), str(broken)]
    return Run.prepare(paths, settings, judge=True, kernels=True).report()


@pytest.fixture(scope="module")
def check_page(checked: Report, tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(render(checked, "check", "html", Style()), tmp_path_factory.mktemp("check"))


@pytest.fixture(scope="module")
def predict_page(model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    settings = Settings(targets=("pixel-4/gpu", "galaxy-s10/gpu"))
    report = Run.prepare([str(model("resnet18.onnx"))], settings, judge=False).report()
    return written(render(report, "predict", "html", Style()), tmp_path_factory.mktemp("predict"))


def headings(page: Any) -> list[str]:
    return [heading.inner_text() for heading in page.locator("h2").all()]


def test_every_section_is_there(opened: Callable[..., Any], check_page: str, predict_page: str) -> None:
    assert headings(opened(check_page)) == [
        "Start here", "All models", "Latency and budgets", "Findings", "Targets", "Timeline", "Blocks", "Kernels",
    ]  # fmt: skip
    assert headings(opened(predict_page)) == ["Start here", "Latency", "Targets", "Timeline", "Blocks", "Kernels"]


def test_numbers_and_verdicts_are_those_of_the_report(
    opened: Callable[..., Any], check_page: str, checked: Report
) -> None:
    page = opened(check_page)
    rows = page.locator("#latency .row").all()
    assert len(rows) == len(checked.predictions) == 6
    for row, each, verdict in zip(rows, checked.predictions, checked.verdicts, strict=True):
        said = row.get_attribute("aria-label")
        assert said.startswith(f"{verdict.word.upper()}, {each.target}, {format_ms(each.latency_ms)}, 90% within ")
        assert "budget 5 ms" in said and format_ms(each.latency_ms) in row.inner_text()
    assert "LAT001" in page.locator("#summary").inner_text(), "the file that is no model"
    latency_ms = {(each.model, each.target): each.latency_ms for each in checked.predictions}
    saving = [each for each in checked.findings if each.code == "LAT201"]
    most = max(saving, key=lambda each: (each.gain_ms or 0) / latency_ms[each.model, each.target or ""])
    found = page.locator(".cause", has_text="LAT201")
    item = found.inner_text()
    assert "LAT203" in found.text_content(), "what has the same cause, folded"
    assert f"−{format_ms(most.gain_ms or 0)}" in item and f"on {most.target}" in item and "2 targets" in item


def test_the_timeline_has_every_kernel_in_order_as_wide_as_its_time(
    opened: Callable[..., Any], check_page: str, checked: Report
) -> None:
    page = opened(check_page)
    each = next(each for each in checked.predictions if each.target == "pixel-4/gpu" and "mobilenet" in each.model)
    page.locator("#latency .row", has_text="pixel-4/gpu").first.click()
    launched = [kernel for kernel in each.kernels if kernel.source != "free"]
    slowest = max(other.latency_ms for other in checked.predictions if other.model == each.model)
    for scale, whole in (("each to full width", each.latency_ms), ("same milliseconds", slowest)):
        page.get_by_label("Scale").select_option(scale)
        boxes = page.eval_on_selector_all(
            "#track [role=option]",
            "all => all.map(each => [parseFloat(each.style.left), parseFloat(each.style.width)])",
        )
        start = 0.0
        for (left, width), kernel in zip(boxes, launched, strict=True):
            assert left == pytest.approx(start, abs=1e-2), "four digits of each"
            assert width == pytest.approx(100 * kernel.latency_ms / whole, rel=1e-3, abs=1e-3)
            start += width


def column(page: Any, name: str) -> list[str]:
    place = next(
        i for i, head in enumerate(page.locator("#kernels thead tr > *").all()) if head.inner_text().startswith(name)
    )
    return [text.strip() for text in page.locator(f"#kernels tbody td:nth-child({place + 1})").all_inner_texts()]


def test_the_table_of_kernels_sorts_and_filters(opened: Callable[..., Any], check_page: str) -> None:
    page = opened(check_page)
    page.locator("#kernels").get_by_role("button", name=re.compile("more kernel")).click()
    first = [float(text) for text in column(page, "ms")]
    assert len(first) > 40 and first == sorted(first, reverse=True), "the costliest first"
    sortable = {"ms": ("ms", float), "name": ("Op", str), "index": ("#", int), "implementation": ("Runs as", str)}
    for key, (name, read) in sortable.items():
        for _ in range(2):
            page.locator(f"#kernels thead button[data-key={key}]").click()
            values = [read(text) for text in column(page, name)]
            order = page.locator("#kernels thead th[aria-sort]").get_attribute("aria-sort")
            assert values == sorted(values, reverse=order == "descending"), (name, order)
    page.get_by_label("Filter by op, kernel or node").fill("stage5")
    nodes = column(page, "Node")
    assert 0 < len(nodes) < len(first) and all("stage5" in node.replace("\n", "") for node in nodes)
    assert page.locator("#kernels [role=status]").inner_text().startswith(f"{len(nodes)} kernels, ")


def test_the_keyboard_reaches_and_works_everything(opened: Callable[..., Any], check_page: str) -> None:
    page = opened(check_page)
    assert unreachable(page) == []
    page.locator("#track").focus()
    page.keyboard.press("Home")
    first = page.locator(".details").inner_text()
    page.keyboard.press("ArrowRight")
    assert "kernel 1 of" in first and "kernel 2 of" in page.locator(".details").inner_text()
    assert page.locator("#track").get_attribute("aria-activedescendant") == "kernel-1"
    assert page.locator("#kernel-1").get_attribute("aria-selected") == "true"
    page.locator("#latency .row", has_text="galaxy-s10/gpu").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#target option:checked").inner_text() == "galaxy-s10/gpu"
    block = page.locator(".block").first
    name = block.locator("b").inner_text()
    block.focus()
    page.keyboard.press("Enter")
    assert name in page.locator(".crumbs").inner_text()
    assert page.evaluate("document.activeElement.closest('#blocks') !== null"), "the focus stays in the section"


def test_a_finding_leads_to_its_kernel(opened: Callable[..., Any], check_page: str) -> None:
    page = opened(check_page)
    page.get_by_role("button", name="Show LAT201 on").first.click()
    assert page.locator("#model option:checked").inner_text().endswith("one_gelu.tflite")
    assert "gelu" in page.locator(".details .title").inner_text()


def test_the_worst_comes_first_with_its_slowest_layer_and_what_would_help(
    opened: Callable[..., Any], check_page: str, checked: Report
) -> None:
    start = opened(check_page).locator("#start")
    each = max(checked.predictions, key=lambda each: each.latency_ms)  # all have one budget
    said = start.inner_text()
    assert f"on {each.target}: {format_ms(each.latency_ms)}" in said
    slowest = max(each.kernels, key=lambda kernel: kernel.latency_ms)
    first = start.locator("li").first.inner_text()
    assert (
        format_ms(slowest.latency_ms) in first
        and slowest.op in first
        and slowest.nodes[0].split(";")[0] in first.replace("\n", "")
    )
    rival = min(
        (other for other in checked.predictions if other.model == each.model), key=lambda other: other.latency_ms
    )
    assert f"Faster on the same device: {rival.target}, {format_ms(rival.latency_ms)}" in said
    gains = [
        found.gain_ms
        for found in checked.findings
        if (found.model, found.target) == (each.model, each.target) and found.gain_ms
    ]
    assert (f"−{format_ms(max(gains))}" in said) if gains else ("No rule knows" in said)


def test_the_matrix_has_every_verdict_and_leads_to_a_model(
    opened: Callable[..., Any], check_page: str, checked: Report
) -> None:
    page = opened(check_page)
    cells = page.locator("#matrix .cell")
    said = {cell.get_attribute("aria-label") for cell in cells.all()}
    assert said == {
        f"{verdict.word.upper()}, {checked.path(each.model)} on {each.target}, {format_ms(each.latency_ms)}, budget 5 ms"
        for each, verdict in zip(checked.predictions, checked.verdicts, strict=True)
    }
    marked = sum(text.startswith("✕") for text in cells.all_inner_texts())
    assert marked == sum(verdict.word == "fail" for verdict in checked.verdicts) > 0, "not by colour alone"
    page.locator("#matrix [tabindex='0']").focus()
    for key in ("ArrowUp", "ArrowLeft", "ArrowLeft", "ArrowRight", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    place = "[document.activeElement.parentElement.rowIndex, document.activeElement.cellIndex]"
    assert page.evaluate(place) == [3, 2], "the second model on the second target, and no further"
    name = page.evaluate("document.activeElement.getAttribute('aria-label')")
    page.keyboard.press("Enter")
    model, target = re.fullmatch(r"\w+, (.+) on (\S+), .+ ms, budget .*", name).groups()  # type: ignore[union-attr]
    shown = [page.locator(f"#{each} option:checked").inner_text() for each in ("model", "target")]
    assert shown == [model, target]
    assert page.locator("#matrix [aria-selected=true]").get_attribute("aria-label") == name
    page.get_by_label("Order").first.select_option("slowest first")
    slowest = max(checked.predictions, key=lambda each: each.latency_ms)
    assert page.locator("#matrix tbody th").first.inner_text().replace("\n", "") == checked.path(slowest.model)


def test_targets_are_compared_over_the_same_models(
    opened: Callable[..., Any], check_page: str, checked: Report
) -> None:
    page = opened(check_page)
    best = {
        model: min(each.latency_ms for each in checked.predictions if each.model == model)
        for model in {each.model for each in checked.predictions}
    }
    rows = [row.locator("td").all_inner_texts() for row in page.locator("#targets tbody tr").all()]
    assert len(rows) == 3
    for target, _, kept, mean, times, *_ in rows:
        own = [each for each in checked.predictions if each.target == target]
        assert mean == format_ms(geometric_mean(each.latency_ms for each in own))
        assert float(times[1:]) == pytest.approx(
            geometric_mean(each.latency_ms / best[each.model] for each in own), rel=5e-3
        )
        assert kept == f"{sum(each.latency_ms <= 5 for each in own)} of 2"


def test_what_is_unknown_or_not_there_is_shown_as_such(opened: Callable[..., Any], tmp_path: Path) -> None:
    def partly(model: str, target: str) -> Prediction:
        """A prediction that leaves out the second of three kernels."""
        each = prediction(model, target, ("stem/conv", "block/1/odd", "block/2/conv"))
        kernels = list(each.kernels)
        kernels[1] = kernels[1]._replace(op="odd", source="unknown", latency_ms=0.0)
        return replace(each, kernels=tuple(kernels), unknown={"ODD": 1}, high_ms=None)

    places = [("a", "gpu"), ("a", "cpu-1large"), ("a", "cpu-2large"), ("b", "gpu"), ("b", "cpu-2large")]
    report = Report(tuple(partly(model, f"pixel-4/{target}") for model, target in places), files=2)
    page = opened(written(render(report, "predict", "html", Style()), tmp_path))
    assert "≥ 12.0 ms" in page.locator("#start").inner_text()
    assert "Not in the picture, because their time is unknown: odd (1 kernel)." in page.locator("#blocks").inner_text()
    assert page.locator("#track .blank").evaluate("each => each.getBoundingClientRect().width") >= 4
    assert column(page, "ms").count("?") == 1
    page.locator("#matrix tbody tr").nth(1).locator(".cell").first.focus()
    page.keyboard.press("ArrowRight")
    assert "b on pixel-4/cpu-2large" in page.evaluate("document.activeElement.getAttribute('aria-label')")
    nothing = Report((), errors=(InputError("x.onnx", "LAT001", "it stops short"),), files=1)
    page = opened(written(render(nothing, "check", "html", Style()), tmp_path, "nothing.html"))
    assert "x.onnx: it stops short [LAT001]" in page.locator("#summary").inner_text()


def test_links_lead_to_a_finding_and_to_a_kernel(opened: Callable[..., Any], check_page: str, checked: Report) -> None:
    folded = next(each for each in checked.findings if each.code == "LAT203")
    page = opened(check_page)
    page.evaluate(f"location.hash = 'f-{folded.fingerprint}-1'")
    page.locator("details[open] .under", has_text="LAT203").wait_for()
    each = next(each for each in checked.predictions if each.target == "galaxy-s10/gpu" and "gelu" in each.model)
    model = quote(checked.path(each.model), safe="")
    launched = [kernel for kernel in each.kernels if kernel.source != "free"]
    number, kernel = next(
        (n, kernel) for n, kernel in enumerate(launched, 1) if n > 1 and kernel.inputs != kernel.outputs
    )
    page.evaluate(f"location.hash = 'k/{model}/galaxy-s10%2Fgpu/{number}'")
    page.locator(".details", has_text=f"kernel {number} of").wait_for()
    assert page.locator("#target option:checked").inner_text() == "galaxy-s10/gpu"
    assert kernel.inputs and kernel.outputs
    told = page.locator("#kernels tr.chosen .shapes").inner_text()
    shapes = [", ".join("x".join(map(str, shape)) for shape in side) for side in (kernel.inputs, kernel.outputs)]
    assert told == f"{shapes[0]} → {shapes[1]} {kernel.dtype}" and shapes[0] in page.locator(".details").inner_text()
    assert page.locator(".details a").get_attribute("href") == f"#k/{model}/galaxy-s10%2Fgpu/{number}"
    for wrong in ("k/%", "k/a/b/c", "k/", "f-nothing", f"k/{model}/galaxy-s10%2Fgpu/999"):
        page.evaluate(f"location.hash = '{wrong}'")


def test_a_finding_unfolds_to_the_page_of_its_rule(opened: Callable[..., Any], check_page: str) -> None:
    page = opened(check_page)
    cause = page.locator(".cause", has_text="LAT201")
    assert cause.locator(".advice").count() == 0, "made when it is asked for"
    cause.get_by_text("How to fix it").click()
    checks = by_code("LAT201")
    assert checks
    advice = " ".join(cause.locator(".advice").inner_text().split())
    for sentence in ("The message says what can be put in the place of each kind of op", "The delegate keeps one run"):
        assert sentence in checks.page.replace("\n", " ") and sentence in advice


def test_a_rule_links_to_its_page_where_that_has_an_address(opened: Callable[..., Any], tmp_path: Path) -> None:
    addresses = "https://example.org/rules/LAT101/", "docs/rules/LAT102.md", "javascript:alert(1)"
    found = tuple(
        replace(over_budget("m.tflite"), code=f"LAT10{number}", help_uri=address)
        for number, address in enumerate(addresses, 1)
    )
    report = Report((prediction("m.tflite"),), found, files=1, verdicts=(Verdict(10.0, False),))
    page = opened(written(render(report, "check", "html", Style()), tmp_path))
    for more in page.get_by_text("How to fix it").all():
        more.click()
    page.locator(".advice").nth(2).wait_for()
    links = page.locator(".advice a")
    assert [link.get_attribute("href") for link in links.all()] == [addresses[0]]


def test_the_timeline_zooms_and_its_ticks_with_it(opened: Callable[..., Any], check_page: str) -> None:
    page = opened(check_page)
    ticks = page.locator(".ruler span")
    before, track = ticks.all_inner_texts(), page.locator("#track").bounding_box()["width"]
    shown = page.locator("#kernel-3").bounding_box()["width"]
    page.locator("#track").focus()
    for _ in range(3):
        page.keyboard.press("+")
    assert page.locator("#kernel-3").bounding_box()["width"] == pytest.approx(8 * shown, rel=0.01)
    assert len(ticks.all()) > len(before)
    steps = [float(text.split()[0]) for text in ticks.all_inner_texts()]
    assert steps == pytest.approx([i * steps[1] for i in range(len(steps))])
    page.keyboard.press("End")
    box = page.locator("#track .chosen").bounding_box()
    assert box["x"] >= page.locator("#track").bounding_box()["x"] - 1, "what is picked is in view"
    assert box["x"] < page.locator("#track").bounding_box()["x"] + track
    page.get_by_role("button", name="Whole", exact=True).click()
    assert ticks.all_inner_texts() == before


def test_colours_tell_kinds_time_per_mac_and_sources(
    opened: Callable[..., Any], check_page: str, checked: Report
) -> None:
    page = opened(check_page)
    page.locator("#latency .row", has_text="pixel-4/cpu-1large").first.click()
    each = next(each for each in checked.predictions if each.target == "pixel-4/cpu-1large" and "v2" in each.model)
    launched = [kernel for kernel in each.kernels if kernel.source != "free"]
    page.get_by_label("Colour").select_option("source of the time")
    classes = page.eval_on_selector_all("#track [role=option]", "all => all.map(each => each.classList[0])")
    assert classes == [f"s-{kernel.source}" for kernel in launched]
    page.get_by_label("Colour").select_option("time per MAC")
    classes = page.eval_on_selector_all("#track [role=option]", "all => all.map(each => each.classList[0])")
    average = sum(kernel.latency_ms for kernel in launched if kernel.macs) / sum(kernel.macs for kernel in launched)
    for kernel, said in zip(launched, classes, strict=True):
        if not kernel.macs:
            assert said == "no-macs"
        else:
            assert said == f"h{sum(kernel.latency_ms / kernel.macs > step * average for step in (0.5, 1, 2, 4, 8))}"
    inside = page.eval_on_selector_all(".map i", "all => all.map(each => each.className)")
    assert set(inside) <= set(classes) and len(set(inside)) > 2


@pytest.mark.parametrize(("scheme", "size"), [("light", DESKTOP), ("dark", DESKTOP), ("light", PHONE)])
def test_axe_finds_nothing_wrong_and_nothing_needs_sideways_scrolling(
    opened: Callable[..., Any], check_page: str, predict_page: str, scheme: str, size: tuple[int, int]
) -> None:
    # The page without verdicts has nothing that the other has not: one look at it will do.
    for uri in (check_page, predict_page) if scheme == "light" and size == PHONE else (check_page,):
        page = opened(uri, size, scheme, bypass_csp=True)
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == size[0]


def test_paper_has_the_bars_and_all_of_the_table(opened: Callable[..., Any], check_page: str) -> None:
    """What browsers leave out of print by default: backgrounds, what scrolls, and a dark page's light text."""
    page = opened(check_page, scheme="dark")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 700, "height": 900})
    bars = page.locator(".meter-cell span, .track *")
    assert bars.count() > 10
    exact = "nodes => nodes.every(node => getComputedStyle(node).printColorAdjust === 'exact')"
    assert bars.evaluate_all(exact)
    cut = "nodes => nodes.filter(node => node.scrollWidth > node.clientWidth + 1 && getComputedStyle(node).overflowX !== 'visible').length"
    assert page.locator(".scroll").evaluate_all(cut) == 0
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
    assert page.evaluate("document.documentElement.scrollWidth") <= 700


def test_paper_has_what_a_button_would_show(opened: Callable[..., Any], report: Report, tmp_path: Path) -> None:
    """Real printing: Chromium tells the page before it makes a PDF."""
    models = [f"models/{number}.tflite" for number in range(130)]
    given = replace(
        report,
        predictions=tuple(prediction(model) for model in models),
        verdicts=tuple(Verdict(10.0, False) for _ in models),
        findings=tuple(over_budget(model) for model in models),
    )
    page = opened(written(render(given, "check", "html", Style()), tmp_path))
    shown = {"#latency .group": 6, "#matrix tbody tr": 100, ".fix[open]": 0}
    assert {each: page.locator(each).count() for each in shown} == shown
    page.pdf()
    assert {each: page.locator(each).count() for each in shown} == dict.fromkeys(shown, 130) | {".fix[open]": 1}
    assert page.get_by_role("button", name="more model").count() == 0


def test_paper_says_how_many_kernels_it_leaves_out(opened: Callable[..., Any], report: Report, tmp_path: Path) -> None:
    names = tuple(f"conv_{number}" for number in range(40))
    many = replace(report, predictions=(prediction("m.tflite", names=names),), verdicts=())
    page = opened(written(render(many, "predict", "html", Style()), tmp_path))
    told = page.get_by_text("15 more are not on paper")
    assert not told.is_visible()
    page.emulate_media(media="print")
    assert told.is_visible()
    page.emulate_media(media="screen")
    page.get_by_role("button", name="Show 15 more kernels").click()
    page.emulate_media(media="print")
    assert told.count() == 0


def test_what_changed_since_the_base_has_colours(opened: Callable[..., Any], report: Report, tmp_path: Path) -> None:
    names = ("slower", "faster", "added", "as before", "alike")
    changed = Change("main at 0a1b2c3", 10.0, 1.0, 3.0, (), {0: 1.0, 1: 4.0, 2: None, 4: 2.24})
    given = replace(
        report,
        predictions=(prediction("m.tflite", names=names), prediction("other.tflite", names=names)),
        verdicts=(Verdict(10.0, False, change=changed), Verdict(10.0, True)),
    )
    page = opened(written(render(given, "check", "html", Style()), tmp_path))
    page.get_by_label("Colour").select_option("change since main at 0a1b2c3")
    wanted = ["c-slower", "c-faster", "c-added", "c-same", "c-alike"]
    classes = "all => all.map(each => each.className.split(' ')[0])"
    assert page.eval_on_selector_all("#track [role=option]", classes) == wanted
    assert set(page.eval_on_selector_all(".map i", classes)) == set(wanted)
    page.locator("#track").press("Home")
    assert "before 1.00 ms, +1.24 ms" in " ".join(page.locator(".details").inner_text().split())
    page.locator("#model").select_option(label="other.tflite")
    assert set(page.eval_on_selector_all("#track [role=option]", classes)) == {"c-none"}
    same = replace(given, verdicts=(Verdict(10.0, False), Verdict(10.0, True)))
    page = opened(written(render(same, "check", "html", Style()), tmp_path, "same.html"))
    assert "change" not in page.get_by_label("Colour").inner_text()


def test_the_theme_follows_the_system_until_the_reader_chooses(opened: Callable[..., Any], check_page: str) -> None:
    page = opened(check_page, scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Light theme").click()
    light = page.evaluate(ground)
    assert light != dark
    page.emulate_media(color_scheme="light")
    assert page.evaluate(ground) == light
    page.get_by_role("button", name="Dark theme").click()
    assert page.evaluate(ground) == dark


def test_names_from_a_model_are_shown_and_do_nothing(
    opened: Callable[..., Any], hostile_report: Report, tmp_path: Path
) -> None:
    for command in ("check", "predict"):
        page = opened(written(render(hostile_report, command, "html", Style()), tmp_path, f"{command}.html"))
        assert page.locator("img, iframe, object, embed, form, main script, a:not([href^='#'])").count() == 0
        assert "<script>alert(1)</script>" in page.locator("main").inner_text()
        for size in (PHONE, DESKTOP):
            page.set_viewport_size({"width": size[0], "height": size[1]})
            assert page.evaluate("document.documentElement.scrollWidth") == size[0]
        for place in range(page.locator("#latency .row").count()):
            page.locator("#latency .row").nth(place).click()
        page.locator(".block").first.click()


def test_the_policy_lets_no_other_script_run(browser: Any, check_page: str) -> None:
    page = browser.new_page()
    page.goto(check_page)
    page.evaluate("""() => {
        const script = document.createElement('script');
        script.textContent = 'window.planted = true';
        document.body.append(script);
        document.body.insertAdjacentHTML('beforeend', '<img src="data:," onerror="window.planted = true">');
    }""")
    page.wait_for_timeout(100)
    assert page.evaluate("window.planted") is None
    page.close()


def test_without_scripts_there_is_plain_text(opened: Callable[..., Any], check_page: str) -> None:
    page = opened(check_page, java_script_enabled=False)
    assert "FAIL  pixel-4/cpu-1large" in page.locator("noscript pre").inner_text()


def test_a_big_run_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is over budget, and the gravest findings, are what is left."""
    limits = ("MAX_PREDICTION_BYTES", "MAX_FINDING_BYTES", "MAX_KERNEL_BYTES")
    assert sum(getattr(html, name) for name in limits) + 230_000 < 2_000_000, "with the script and the plain text"
    for name in limits:
        monkeypatch.setattr(html, name, getattr(html, name) // 10)
    each = prediction("models/m.tflite", names=tuple(f"block_{i}/conv" for i in range(400)))
    predictions = tuple(replace(each, model=f"models/{i}.tflite") for i in range(400))
    verdicts = tuple(Verdict(10.0, passed=i != 399) for i in range(400))
    notes = tuple(
        replace(over_budget(f"models/{i}.tflite", name="x" * 400), severity="error" if i == 399 else "note")
        for i in range(400)
    )
    report = Report(predictions, notes, files=400, targets=("pixel-4/gpu",), verdicts=verdicts)
    text = render(report, "check", "html", Style())
    assert len(text) < sum(getattr(html, name) for name in limits) + 230_000
    data = data_of(text)
    shown = data["predictions"]
    assert shown[-1]["model"] == "models/399.tflite" and "plan" in shown[-1]
    assert data["findings"][0]["model"] == "models/399.tflite"
    assert data["cuts"] == [
        f"{400 - len(shown)} predictions, for the size of this file: what is over budget comes first",
        f"the kernels of {sum('plan' not in each for each in shown)} predictions, for the size of this file",
        f"the {400 - len(data['findings'])} findings that weigh least, for the size of this file",
    ]


def test_core_configurations_share_their_kernels(model: Callable[[str], Path]) -> None:
    settings = Settings(targets=("pixel-4/*",))
    report = Run.prepare([str(model("mobilenet_v2.tflite"))], settings, judge=False).report()
    data = data_of(render(report, "predict", "html", Style()))
    assert len(data["predictions"]) == 10 and len(data["plans"]) == 2


def test_check_keeps_kernels_for_html_alone(model: Callable[[str], Path]) -> None:
    settings = Settings(targets=("pixel-4/gpu",)).with_flags(select=["LAT101"])
    for kernels in (False, True):
        report = Run.prepare([str(model("mobilenet_v2.tflite"))], settings, judge=True, kernels=kernels).report()
        assert not report.findings and bool(report.predictions[0].kernels) is kernels


def test_every_hostile_name_is_in_the_data_as_text(hostile_report: Report) -> None:
    text = render(hostile_report, "check", "html", Style())
    assert len(data_of(text)["predictions"]) == len(HOSTILE)
    assert text.count("</script>") == 2 and text.count("<script") == 2
