"""The page that shows a difference, opened in Chromium: both models on one scale, what came and went, and names that do nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from latlint.difference import between_files, html
from latlint.difference.types import Base, Difference, ModelChange
from latlint.latency.types import KernelPrediction
from latlint.outcome import InputError
from latlint.report.plain import Style
from latlint.settings import Settings
from latlint.units import format_change_ms, format_ms
from latlint.whatif.change import KernelChange, TargetChange
from latlint.whatif.launches import Launch
from tests.pages import DESKTOP, PHONE, data_of, unreachable, violations, written
from tests.report.conftest import HOSTILE, prediction

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(model: Callable[[str], Path]) -> Difference:
    """Two networks that have little in common, on a GPU, which runs only one of them whole, and on a CPU."""
    settings = Settings(targets=("pixel-4/gpu", "pixel-4/cpu-1large"))
    return between_files(str(model("one_gelu.tflite")), str(model("mobilenet_v2.tflite")), settings)


@pytest.fixture(scope="module")
def address(found: Difference, tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(html.diff(found, Style()), tmp_path_factory.mktemp("difference"))


def on(found: Difference, target: str) -> TargetChange:
    return next(change for change in found.models[0].targets if change.target == target)


def test_both_models_stand_on_one_scale_and_every_pair_is_told(
    opened: Callable[..., Any], address: str, found: Difference
) -> None:
    page = opened(address)
    for target in ("pixel-4/cpu-1large", "pixel-4/gpu"):
        change = on(found, target)
        assert change.old and change.new and change.change_ms is not None
        page.get_by_role("row", name=target).get_by_role("button").click()
        whole = max(change.old.latency_ms, change.new.latency_ms)
        for name, side in (("before", "old"), ("after", "new")):
            launched = [launch for each in change.paired if (launch := getattr(each, side))]
            launched.sort(key=lambda launch: launch.kernel.index)
            boxes = page.eval_on_selector_all(
                f"#{name} [role=option]",
                "all => all.map(each => [parseFloat(each.style.left), parseFloat(each.style.width)])",
            )
            start = 0.0
            for (left, width), launch in zip(boxes, launched, strict=True):
                assert left == pytest.approx(start, abs=1e-2)
                assert width == pytest.approx(100 * launch.kernel.latency_ms / whole, rel=2e-3, abs=1e-3)
                start += width
        said = page.locator("#why").inner_text()
        assert format_ms(change.old.latency_ms) in said and format_change_ms(change.change_ms) in said
        counts = {kind: page.locator(f"#after .c-{kind}, #before .c-{kind}").count() for kind in ("added", "removed")}
        assert counts == {kind: change.counts[kind] for kind in ("added", "removed")}
        page.get_by_label("Show").select_option("added")
        assert page.locator("#kernels [role=status]").inner_text().startswith(f"{change.counts['added']} kernels, +")
        page.get_by_label("Show").select_option("all")


def test_a_kernel_is_shown_with_its_counterpart(opened: Callable[..., Any], address: str) -> None:
    page = opened(address)
    assert unreachable(page) == []
    page.locator("#after").focus()
    for key in ("Home", "+", "+", "ArrowRight"):
        page.keyboard.press(key)
    assert page.locator("#after").get_attribute("aria-activedescendant") == "after-1"
    assert page.locator("#after-1").get_attribute("aria-selected") == "true"
    page.get_by_label("Show").select_option("removed")
    page.locator("#kernels tbody tr").first.click()
    details = page.locator(".details").inner_text().strip()
    assert details.startswith("removed, −") and "not there" in details
    page.get_by_label("Colour").select_option("kind of op")
    assert page.locator("#before .k0").count() > 5
    page.locator(".block").first.click()


@pytest.mark.parametrize(("scheme", "size"), [("light", DESKTOP), ("dark", PHONE)])
def test_axe_finds_nothing_wrong(opened: Callable[..., Any], address: str, scheme: str, size: tuple[int, int]) -> None:
    page = opened(address, size, scheme, bypass_csp=True)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]


def hostile() -> Difference:
    """Kernels, ways, shapes of names, models and errors by names that wish their readers ill."""
    old = prediction("m.tflite")

    def launch(place: int, name: str) -> Launch:
        kernel = KernelPrediction(place, 0, (name,), name, (name,), name, 1.0, "predicted", 1, 1, name)
        return Launch(kernel, name, (1,), (1,), name, {name: name})

    launches = [launch(place, name[:2000]) for place, name in enumerate(HOSTILE)]
    pairs = tuple(
        KernelChange(one, replace(other, kernel=one.kernel))
        for one, other in zip(launches, reversed(launches), strict=True)
    )
    change = TargetChange(old, replace(old, latency_ms=9.0), pairs, 0, pairs)
    models = tuple(ModelChange(name[:1000], name[:1000] + "2", (change,)) for name in HOSTILE)
    errors = tuple(InputError(name, "LAT001", name) for name in HOSTILE)
    return Difference(models, Base(HOSTILE[5], "a" * 40), errors, ("pixel-4/gpu",), HOSTILE)


def test_names_from_a_model_are_shown_and_do_nothing(opened: Callable[..., Any], tmp_path: Path) -> None:
    text = html.diff(hostile(), Style())
    assert text.count("</script>") == 2 and text.count("<script") == 2 and len(text) < 1_000_000
    for size in (DESKTOP, PHONE):
        page = opened(written(text, tmp_path), size)
        assert page.locator("img, iframe, object, embed, form, main script, a:not([href^='#'])").count() == 0
        assert "<script>alert(1)</script>" in page.locator("main").inner_text()
        page.locator("#changes button").last.click()
        page.locator(".block").first.click()
        assert page.evaluate("document.documentElement.scrollWidth") == size[0]


def test_without_scripts_there_is_plain_text(opened: Callable[..., Any], address: str) -> None:
    shown = opened(address, java_script_enabled=False).locator("noscript pre").inner_text()
    assert "pixel-4/gpu" in shown and "runs as: conv_ruy_1x1 → convolution_2d" in shown


def test_a_model_that_is_new_or_gone_and_no_model_at_all(opened: Callable[..., Any], tmp_path: Path) -> None:
    each = prediction("m.tflite")
    models = (
        ModelChange("gone.tflite", None, (TargetChange(each, None),)),
        ModelChange(None, "new.tflite", (TargetChange(None, each),)),
    )
    page = opened(written(html.diff(Difference(models, Base("main", "a" * 40)), Style()), tmp_path))
    assert page.locator("h1").inner_text() == "What changed since main"
    for name, status in (("gone", "removed"), ("new", "added")):
        page.get_by_role("row", name=name).get_by_role("button").click()
        assert f"The model is {status}." in page.locator("#why").inner_text()
    nothing = opened(written(html.diff(Difference((), Base("main", "a" * 40)), Style()), tmp_path, "nothing.html"))
    assert "No model has changed since main." in nothing.locator("main").inner_text()


def test_a_big_difference_is_cut_and_says_so(found: Difference, monkeypatch: pytest.MonkeyPatch) -> None:
    """What changed most is what is left."""
    assert html.MAX_CHANGE_BYTES + html.MAX_KERNEL_BYTES + 250_000 < 2_000_000, "with the script and the plain text"
    monkeypatch.setattr(html, "MAX_CHANGE_BYTES", 8_000)
    monkeypatch.setattr(html, "MAX_KERNEL_BYTES", 30_000)
    change = on(found, "pixel-4/gpu")
    assert change.old and change.new

    def slower(by: int) -> ModelChange:
        """The same with other names, which the page cannot hold once for all."""
        pairs = tuple(
            replace(pair, old=pair.old and replace(pair.old, kernel=pair.old.kernel._replace(nodes=(f"{by}/{place}",))))
            for place, pair in enumerate(change.paired)
        )
        new = replace(change.new, latency_ms=20.0 + by)  # type: ignore[type-var]
        return ModelChange(f"old/{by}", f"new/{by}", (replace(change, new=new, paired=pairs),))

    text = html.diff(replace(found, models=tuple(map(slower, range(40)))), Style())
    assert len(text) < 250_000
    data = data_of(text)
    whole = sum("pairs" in each for each in data["changes"])
    used = {number for each in data["changes"] for plan in each.get("plans", ()) for number in plan[::2]}
    assert used == set(range(len(data["work"]))), "nothing of what was left out takes room"
    assert data["changes"][0]["model"] == "old/39 → new/39" and 0 < whole < len(data["changes"]) < 40
    assert data["cuts"] == [
        f"{40 - len(data['changes'])} changes that weigh least, for the size of this file",
        f"the kernels of {len(data['changes']) - whole} changes, for the size of this file",
    ]
