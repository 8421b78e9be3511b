"""``latlint targets``: the list of targets, or one target's card."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latlint.cli import _completion, _console
from latlint.cli._options import config_file_options, format_option, load_settings, pack_option
from latlint.latency.catalogue import select_targets
from latlint.report.json import dump
from latlint.report.plain import Cell, Style, clean, table, wrap

if TYPE_CHECKING:
    from latlint.latency.packs import NamedTarget, Target


@click.command("targets", short_help="List the targets, or show one target's card.")
@click.argument("target", required=False, shell_complete=_completion.targets)
@pack_option
@config_file_options
@format_option(["json", "text"])
def command(target: str | None, packs: tuple[Path, ...], config: Path | None, no_config: bool, format_name: str) -> int:
    """List the targets with their measured error, or show the card of one: those of the bundled packs, of --pack, and of the
    configuration's packs.

    TARGET may be a glob: latlint targets 'pixel-4/*', with all runtimes of its processors: latlint targets 'pixel-4/*@*'
    """
    from latlint.latency.packs import load_targets

    known = load_targets((*load_settings(config, no_config).packs, *packs))
    chosen = [known[name] for name in select_targets([target or "*@*"], known)]
    style = _console.style()
    if format_name == "json":
        _console.emit(dump({"schema": "latlint.targets/1", "targets": [_document(each) for each in chosen]}))
    elif len(chosen) == 1:
        _console.emit(_card(chosen[0], style))
    else:
        _console.emit(_listing(chosen, style))
    return 0


#: The columns that a list with processors and runtimes takes.
_WIDE = 160


def _runtimes(target: NamedTarget) -> dict[str, str]:
    """The runtime by dialect of the model file, of a target whose runtime follows the file; else empty."""
    return {dialect: target.for_dialect(dialect).processor.runtime for dialect in sorted(target.defaults)}


def _concrete(target: NamedTarget) -> Target:
    """The target with a runtime: where it follows the file, that of the first dialect, whose card stands for both."""
    return target.for_dialect(min(target.defaults, default=""))


def _runtime(target: NamedTarget) -> str:
    runtimes = _runtimes(target)
    return "; ".join(f".{dialect}: {name}" for dialect, name in runtimes.items()) or _concrete(target).runtime


def _document(chosen: NamedTarget) -> dict[str, Any]:
    target = _concrete(chosen)
    device = target.pack.card
    return {
        "name": target.name,
        "device": target.device,
        "device_title": device.get("title", ""),
        "soc": device.get("soc", ""),
        "processor_title": target.card.get("title", ""),
        "processor": target.processor._asdict(),
        "runtimes": _runtimes(chosen),
        "interval": target.card.get("interval", {}),
        "accuracy": target.card.get("accuracy", {}),
        "sources": device.get("sources", []),
        "method": device.get("method", ""),
    }


def _listing(targets: list[NamedTarget], style: Style) -> str:
    """One line a target, under its device; on a narrow terminal without what `latlint targets NAME` shows."""
    precisions = sorted({precision for target in targets for precision in _accuracy(target)})
    wide = not style.wrapped or style.width >= _WIDE
    about = ("processor", "runtime") if wide else ()
    titles = ("target", *about, *(f"{precision} error" if wide else precision for precision in precisions))
    rows = [
        [
            Cell(clean(target.name, 60), ("cyan",)),
            *(
                (
                    Cell(clean(str(_concrete(target).card.get("title", "")), 60)),
                    Cell(clean(_runtime(target), 90), ("dim",)),
                )
                if wide
                else ()
            ),
            *(Cell(_percent(_accuracy(target).get(precision, {}), "mean_error_percent")) for precision in precisions),
        ]
        for target in targets
    ]
    heading, *lines = table(
        [[Cell(title, ("dim",)) for title in titles], *rows],
        "<" * (1 + len(about)) + ">" * len(precisions),
        style,
        indent=2,
    )
    out = [heading]
    previous = None
    for target, line in zip(targets, lines, strict=True):
        if target.device != previous:
            out += [style.paint(_device(target), "bold")]
            previous = target.device
        out.append(line)
    legend = f"{'error' if wide else 'errors'}: mean of |predicted / measured - 1|, end to end, on model families that training did not see"
    more = "" if wide else "; `latlint targets NAME` shows the processor and the runtime"
    said = wrap(legend + more, style, hanging=0).splitlines()
    return "\n".join([*out, "", *(style.paint(line, "dim") for line in said)]) + "\n"


def _device(target: NamedTarget) -> str:
    device = target.pack.card
    soc = f" ({device['soc']})" if "soc" in device else ""
    return clean(f"{device.get('title', target.device)}{soc}", 100)


def _card(chosen: NamedTarget, style: Style) -> str:
    target = _concrete(chosen)
    device, processor = target.pack.card, target.processor
    facts = {
        "device": _device(target),
        "processor": str(target.card.get("title", processor.name)),
        "runtime": _runtime(chosen),
        "threads": str(processor.threads),
        "float models": f"computed in {processor.precision}",
        "data": "; ".join(map(str, device.get("sources", ()))),
        "method": str(device.get("method", "")),
        **_coverage_facts(target),
    }
    lines = [style.paint(clean(target.name), "cyan", "bold"), ""]
    for name, text in facts.items():
        wrapped = textwrap.wrap(clean(text), max(style.width - 16, 20)) if text else []
        labels = [name] + [""] * len(wrapped)
        lines += [
            f"  {style.paint(f'{label:<12}', 'dim')}  {line}" for label, line in zip(labels, wrapped, strict=False)
        ]
    return "\n".join([*lines, *_accuracy_lines(target, style)]) + "\n"


def _coverage_facts(target: Target) -> dict[str, str]:
    """Which kernels were measured, and what never was."""
    from latlint.latency.engine import ENVELOPE_MARGIN

    envelope = target.pack.covers(target.key)["envelope"]
    batch = max((round(exp(highest[-1])) for _, highest in envelope.values()), default=1)
    return {
        "measured": ", ".join(sorted({name.rpartition(":")[0] for name in envelope})),
        "never seen": f"any other kernel; batches above {batch}; sizes more than {ENVELOPE_MARGIN:g} times beyond those that were measured. "
        "Such times come from a simpler model and are marked `derived`",
    }


def _accuracy_lines(target: Target, style: Style) -> list[str]:
    """Tables of the errors on held-out families, overall beside the measurements' own noise, and by family."""
    accuracy = _accuracy(target)
    if not accuracy:
        return ["", "  accuracy: not measured"]
    titles = ("", "models", "mean error", "median", "within ±10%", "noise", "worst", "")
    rows = [
        [
            Cell(precision, ("bold",)),
            Cell(clean(str(found.get("models", "")), 20)),
            Cell(_percent(found, "mean_error_percent")),
            Cell(_percent(found, "median_error_percent")),
            Cell(_percent(found, "within_10_percent", scale=100, digits=0)),
            Cell(_percent(found, "noise_percent")),
            Cell(_percent(found, "worst_error_percent")),
            Cell(clean(str(found.get("worst_model", "")), 60), ("dim",)),
        ]
        for precision, found in sorted(accuracy.items())
    ]
    heading = [Cell(title, ("dim",)) for title in titles]
    return [
        "",
        "  accuracy on model families that training did not see",
        *table([heading, *rows], "<>>>>>><", style, indent=2),
        *_family_lines(accuracy, style),
    ]


def _family_lines(accuracy: Mapping[str, Mapping[str, Any]], style: Style) -> list[str]:
    precisions = sorted(accuracy)
    errors = {precision: accuracy[precision].get("by_family_percent", {}) for precision in precisions}
    families = sorted({family for of in errors.values() for family in of})
    if not families:
        return []
    heading = [Cell(title, ("dim",)) for title in ("family held out", *precisions)]
    rows = [[Cell(clean(name, 40)), *(Cell(_percent(errors[p], name)) for p in precisions)] for name in families]
    return ["", *table([heading, *rows], "<" + ">" * len(precisions), style, indent=2)]


def _accuracy(target: NamedTarget) -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = _concrete(target).card.get("accuracy", {})
    return found


def _percent(found: Mapping[str, Any], key: str, *, scale: float = 1.0, digits: int = 1) -> str:
    return f"{scale * found[key]:.{digits}f}%" if key in found else ""
