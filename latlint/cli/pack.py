"""``latlint pack``: a pack for a device of one's own, from measurements of it."""

from __future__ import annotations

import re
import sys
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from latlint.cli import _completion, _console
from latlint.cli._options import format_option
from latlint.errors import LatlintError
from latlint.records import NamedTuple
from latlint.report.json import dump
from latlint.report.plain import Cell, clean, table
from latlint.runtime.kinds import KINDS
from latlint.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from latlint.latency.packs import Pack
    from latlint.training.kit.results import Run
    from latlint.training.user.build import Built
    from latlint.training.user.readers import Profile

_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: A median difference between passes of a kit, as a share, above which a device was not at rest.
_RESTLESS = 0.1
#: A pack whose held-out error is larger says nothing that its models would not.
_POOR_PERCENT = 50.0
_PROCESSOR = re.compile(rf"({'|'.join(KINDS)})(-[A-Za-z0-9._-]{{1,59}})?")


@click.group("pack", short_help="Build a pack for your own device, or check one.")
def command() -> None:
    """Build a pack for a device of your own from measurements of it, or check one.

    \b
    latlint pack kit my-kit --device my-phone
    latlint pack build my-kit --output packs/my-phone
    latlint check model.tflite --pack packs/my-phone --target my-phone/cpu-4
    latlint pack build --profile-here --output packs/this-host
    """


@command.command("kit", short_help="Write models and scripts to measure a phone with.")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--device", metavar="NAME", help="The device: the first half of the target's name.")
@click.option(
    "--runtime",
    type=click.Choice(["litert", "onnxruntime"]),
    default="litert",
    show_default=True,
    help="What your app runs models with: the kit has .tflite files or .onnx files.",
)
@click.option("--force", is_flag=True, help="Write the kit again over one that is there; its results stay.")
@format_option(["json", "text"])
def kit_command(directory: Path, device: str | None, runtime: str, force: bool, format_name: str) -> int:
    """Write a kit into DIR: twenty small models to time on a phone or board, the scripts that time them, and a page that says what to do.

    The models are those that teach most about what a processor's kernels cost. Measuring takes about ten minutes for each
    processor. Then `latlint pack build DIR` reads the results.
    """
    device = _named(device, "device", _DEVICE)
    _needs("writing a kit", "scipy", "flatbuffers", "tflite")
    from latlint.training.kit.results import is_kit
    from latlint.training.kit.write import write_kit

    if directory.exists() and not directory.is_dir():
        raise LatlintError("not a directory: name one for the kit", path=str(directory))
    if directory.is_dir() and any(directory.iterdir()):
        if not is_kit(directory):
            raise LatlintError("holds something that is not a kit: name another directory", path=str(directory))
        if not force:
            raise LatlintError("a kit is here already: --force writes it again", path=str(directory))
    kit = write_kit(directory, device, runtime)
    if format_name == "json":
        document = {"schema": "latlint.pack-kit/1", "kit": str(directory), "device": device, "models": list(kit.models)}
        _console.emit(dump(document))
        return 0
    place = clean(str(directory))
    ways = {
        "litert": f"  Android  sh {place}/android.sh --tool benchmark_model\n  Linux    copy {place} there, sh measure.sh\n",
        "onnxruntime": f"  Python   copy {place} there, python onnxruntime_times.py\n",
    }
    _console.emit(
        f"Wrote {place}: {len(kit.models)} models and the scripts that time them on {device}\n{ways[runtime]}"
        f"{place}/README.md says more, iOS too. Then: latlint pack build {place} --output packs/{device}\n"
    )
    return 0


@command.command("build", short_help="Build a pack from measurements.")
@click.argument("measurements", nargs=-1, metavar="MEASUREMENTS...", shell_complete=_completion.files)
@click.option("--device", metavar="NAME", help="The device: the first half of the target's name.")
@click.option("--processor", metavar="gpu|cpu-...", help="What the models ran on, such as gpu or cpu-1large.")
@click.option("--profile-here", is_flag=True, help="Measure this machine's CPU instead, in some six minutes.")
@click.option(
    "--like",
    metavar="TARGET",
    shell_complete=_completion.targets,
    help="Start from this target's costs.  [default: the one that fits the times best]",
)
@click.option(
    "-o", "--output", required=True, metavar="DIR", type=click.Path(path_type=Path), help="Where the pack goes."
)
@click.option("--runtime", metavar="NAME", help="What ran them, such as litert-2.3/xnnpack.  [default: as --like]")
@click.option("--threads", type=click.IntRange(1, 1024), metavar="N", help="Threads, for a CPU.")
@click.option("--force", is_flag=True, help="Replace a pack that is there.")
@format_option(["json", "text"])
def build_command(
    measurements: tuple[str, ...],
    device: str | None,
    processor: str | None,
    profile_here: bool,
    like: str | None,
    output: Path,
    runtime: str | None,
    threads: int | None,
    force: bool,
    format_name: str,
) -> int:
    """Build a pack from measurements of whole models, at least five; about twenty predict others well.

    MEASUREMENTS is a kit that was measured (`latlint pack kit`), or CSV files with the columns model and latency_ms, outputs of
    benchmark_model of LiteRT or TensorFlow Lite, or profiles of ONNX Runtime or Qualcomm AI Hub. A profile's model lies beside it
    under the same name, or is named: MODEL=PROFILE. A kit knows its device and its processors; where it has more than one, each gets a pack
    of its own in a folder of DIR, and --processor names one of them.

    --profile-here needs none: it times generated networks on this machine's CPU, with LiteRT or, with --runtime onnxruntime, with
    ONNX Runtime.
    """
    if profile_here:
        if (
            measurements
            or processor
            or like
            or (runtime or "litert").partition("-")[0] not in ("litert", "onnxruntime")
        ):
            raise click.UsageError(
                "--profile-here measures for itself: only --device, --threads, --output and --runtime litert or onnxruntime go with it."
            )
        _may_write(output, force=force)
        measured = (runtime or "litert").partition("-")[0]
        return _profile_here(
            output, _named(device or "this-host", "device", _DEVICE), threads or 1, format_name, measured
        )
    if not measurements:
        raise click.UsageError("Missing argument 'MEASUREMENTS...'.")
    _needs("building a pack", "scipy")
    if any(Path(each).is_dir() for each in measurements):
        return _build_kit(measurements, Options(device, processor, like, runtime, threads), output, force, format_name)
    device = _named(device, "device", _DEVICE)
    processor = _named(processor, "processor", _PROCESSOR)
    _may_write(output, force=force)
    from latlint.training.user.readers import read_all

    built = _build(read_all(measurements), Options(device, processor, like, runtime, threads), output)
    _console.emit(dump(_document(built, output)) if format_name == "json" else _summary(built, output))
    return 0


class Options(NamedTuple):
    """What the command line says of the processor; ``None`` where it says nothing."""

    device: str | None
    processor: str | None
    like: str | None
    runtime: str | None
    threads: int | None
    vendor: str | None = None
    designed: bool = False


def _build(profiles: Sequence[Profile], options: Options, output: Path) -> Built:
    """The pack of ``profiles``, written to ``output``."""
    from latlint.latency.packs import write_pack
    from latlint.training.user.build import Wanted, build

    named = options._asdict() | {"device": str(options.device), "processor": str(options.processor)}
    wanted = Wanted(**named)
    built = build(profiles, wanted)
    write_pack(built.pack, output)
    return built


def _build_kit(measurements: tuple[str, ...], options: Options, output: Path, force: bool, format_name: str) -> int:
    """A pack for each processor that a kit was measured on; in a folder of its own where there is more than one."""
    from latlint.training.kit.results import is_kit, read_kit

    kit = Path(measurements[0])
    if not is_kit(kit):
        raise LatlintError("not a kit: `latlint pack kit DIR` writes one", path=str(kit))
    if len(measurements) > 1:
        raise click.UsageError("a kit stands alone: name no other measurements beside it")
    found = read_kit(kit)
    device = _named(options.device or found.device, "device", _DEVICE)
    runs = [run for run in found.runs if options.processor in (None, run.processor)]
    if not runs:
        there = ", ".join(run.processor for run in found.runs)
        raise LatlintError(f"--processor {options.processor}: the kit was measured on {there}", path=str(kit))
    places = {run.processor: output / run.processor if len(runs) > 1 else output for run in runs}
    for place in places.values():
        _may_write(place, force=force)
    built = []
    for run in runs:
        processor = _named(run.processor, "processor", _PROCESSOR)
        runtime, threads = options.runtime or run.runtime, options.threads or run.threads
        chosen = Options(device, processor, options.like, runtime, threads, run.vendor, designed=True)
        built.append(_build(run.profiles, chosen, places[processor]))
    if format_name == "json":
        documents = [_document(each, place) for each, place in zip(built, places.values(), strict=True)]
        failed = {run.processor: list(run.failed) for run in runs if run.failed}
        _console.emit(dump({"schema": "latlint.pack-kit-build/1", "packs": documents, "failed": failed}))
        return 0
    for run, each in zip(runs, built, strict=True):
        _console.emit(_summary(each, places[run.processor], run))
        if run.failed:
            _console.emit(f"warning: no time of {counted(len(run.failed), 'model')}: {clean(', '.join(run.failed))}\n")
    return 0


def _named(name: str | None, option: str, pattern: re.Pattern[str]) -> str:
    if name is None:
        raise click.UsageError(f"Missing option '--{option}'.")
    if not pattern.fullmatch(name):
        kinds = ", ".join(KINDS)
        expected = "letters, digits, dots and dashes" if pattern is _DEVICE else f"{kinds}, or with cores: cpu-1large"
        raise LatlintError(f"--{option} {name}: expected {expected}")
    return name


def _profile_here(output: Path, device: str, threads: int, format_name: str, runtime: str) -> int:
    """Measure with ``litert`` or ``onnxruntime``, with a progress bar where somebody looks."""
    measure: Callable[..., Pack]
    # what is missing is told before a bar is drawn
    if runtime == "onnxruntime":
        _needs("measuring this machine", "scipy", "onnxruntime")
        from latlint.training import profile_onnxruntime

        measure = profile_onnxruntime.profile_onnxruntime
    else:
        _needs("measuring this machine", "scipy", "flatbuffers", "tflite", "ai_edge_litert")
        from latlint.training.profile_here import profile_here

        measure = profile_here
    with click.progressbar(length=1, label="measuring", file=sys.stderr, item_show_func=lambda name: name) as bar:

        def progress(done: int, total: int, name: str) -> None:
            bar.length = total
            bar.update(done - bar.pos, name)

        pack = measure(output, device=device, threads=threads, progress=progress)
    target = pack.targets()[-1]
    (key,) = pack.card["processors"]
    found = pack.card["processors"][key]["accuracy"]
    models = sum(each["models"] for each in found.values())
    if format_name == "json":
        document = {"schema": "latlint.pack-build/1", "target": target.name, "pack": str(output)}
        _console.emit(dump(document | {"models": models, "accuracy": found}))
        return 0
    style = _console.style()
    lines = [
        f"{style.paint(clean(target.name), 'cyan', 'bold')} from {models} generated networks; kinds of networks held out in turn:",
        *(
            f"  {precision}: mean error {each['mean_error_percent']:.1f}%, median {each['median_error_percent']:.1f}%, repeated "
            f"measurements spread by {each['noise_percent']:.1f}%"
            for precision, each in found.items()
        ),
        f"written to {clean(str(output))}",
    ]
    _console.emit("\n".join(lines) + "\n")
    return 0


def _may_write(output: Path, *, force: bool) -> None:
    if output.exists() and not output.is_dir():
        raise LatlintError("not a directory: --output names one", path=str(output))
    if output.is_dir() and any(output.iterdir()) and not force:
        raise LatlintError("not empty: --force replaces the pack that is there", path=str(output))
    if output.is_dir() and any(output.iterdir()) and not (output / "card.json").is_file():
        raise LatlintError("holds something that is not a pack: name another directory", path=str(output))


#: What training needs, by the name of its module: the package.
_PACKAGES = {
    "scipy": "scipy",
    "flatbuffers": "flatbuffers",
    "tflite": "tflite",
    "ai_edge_litert": "ai-edge-litert",
    "onnxruntime": "onnxruntime",
}


def _needs(what: str, *modules: str) -> None:
    """Raise ``LatlintError`` with all that is missing for ``what``, at once."""
    from importlib.util import find_spec

    missing = [_PACKAGES[module] for module in modules if find_spec(module) is None]
    if missing:
        raise LatlintError(f"{what} needs {', '.join(missing)}: pip install {' '.join(missing)}")


def _document(built: Built, output: Path) -> dict[str, object]:
    from latlint.training.evaluation import SIMPLEST

    card = built.pack.card
    name = next(iter(card["processors"]))
    return {
        "schema": "latlint.pack-build/1",
        "target": f"{built.pack.device}/{name}",
        "pack": str(output),
        "like": built.donor,
        "times_faster": built.faster,
        "models": len(built.errors),
        "timed_kernels": built.kernels,
        "accuracy": card["processors"][name]["accuracy"],
        "predicts_with": built.model,
        "share": round(built.share, 4),
        "doubtful": [{"measurement": source, "times": times} for source, times in built.doubtful.items()],
        "simplest_mean_error_percent": round(min(_mean_percent(built.others[name]) for name in SIMPLEST), 2),
        "held_out": [{"measurement": source, "error": error} for source, error in built.errors.items()],
    }


def _mean_percent(errors: Mapping[str, float]) -> float:
    return 100 * sum(abs(error) for error in errors.values()) / len(errors)


def _beside_the_simplest(built: Built) -> list[str]:
    """What the simplest models would be off by, and how far the pack follows one of them."""
    from latlint.training.evaluation import ROOFLINE, SIMPLEST
    from latlint.training.user.build import TRANSFER

    least = min(SIMPLEST, key=lambda name: _mean_percent(built.others[name]))
    if built.model == ROOFLINE:
        held = f"costs of single kernels, held out likewise, are off by {_mean_percent(built.others[TRANSFER]):.1f}% in the mean"
        advice = "measure more models, or start from a device more like it (--like)"
        return [f"warning: this pack predicts with {built.model}: {held}; {advice}"]
    found = [f"{least}, held out likewise, is off by {_mean_percent(built.others[least]):.1f}% in the mean"]
    if built.share < 0.95:
        found.append(
            f"its times go {built.share:.0%} of the way from {ROOFLINE} to its kernels', as held-out models ask for"
        )
    if (off := _mean_percent(built.errors)) > _POOR_PERCENT:
        found.append(
            f"warning: models that were held out are off by {off:.0f}% in the mean: are all times of one processor, runtime and number of threads?"
        )
    return found


def _times_off(times: float) -> str:
    return f"{times:.2g} times what" if times >= 1 else f"{1 / times:.2g} times less than"


def _doubtful(built: Built) -> list[str]:
    """The measurements to look at before using the pack."""
    return [
        f"warning: {clean(source)}: {_times_off(times)} the other models let expect: measure it again, or leave it out"
        for source, times in built.doubtful.items()
    ]


def _of_a_kit(run: Run) -> list[str]:
    """What the errors of held-out models mean for a kit, and whether its passes agree."""
    lines = ["a kit's models are chosen to differ: others are predicted better than one of these by the rest"]
    if not run.spreads:
        return lines
    median, (worst, most) = (
        sorted(run.spreads.values())[len(run.spreads) // 2],
        max(run.spreads.items(), key=itemgetter(1)),
    )
    lines.append(
        f"passes of a model differ by {100 * median:.1f}% in the median, at most by {100 * most:.1f}%: {clean(worst, 60)}"
    )
    if median > _RESTLESS:
        lines.append("warning: the device was warm or busy: let it cool down, close what runs on it, and measure again")
    return lines


def _summary(built: Built, output: Path, run: Run | None = None) -> str:
    from latlint.training.user.build import PRIORS

    style = _console.style()
    alone = (
        "; its costs are from its own times alone, as those of no known CPU fit better" if built.model == PRIORS else ""
    )
    target = f"{built.pack.device}/{next(iter(built.pack.card['processors']))}"
    relation = f"{built.faster:.2f} times as fast" if built.faster >= 1 else f"{1 / built.faster:.2f} times slower"
    kernels = f" and {built.kernels} of their kernels" if built.kernels else ""
    lines = [
        f"{style.paint(clean(target), 'cyan', 'bold')} from {len(built.errors)} measured models{kernels}",
        f"  like {clean(built.donor)}, {relation}{alone}",
        "",
    ]
    titles = ("precision", "models", "mean error", "median", "within ±10%", "worst", "")
    rows = [[Cell(title, ("dim",)) for title in titles]]
    for precision, found in built.pack.card["processors"][target.partition("/")[2]]["accuracy"].items():
        rows.append(
            [
                Cell(precision, ("bold",)),
                Cell(str(found["models"])),
                Cell(f"{found['mean_error_percent']:.1f}%"),
                Cell(f"{found['median_error_percent']:.1f}%"),
                Cell(f"{100 * found['within_10_percent']:.0f}%"),
                Cell(f"{found['worst_error_percent']:.1f}%"),
                Cell(clean(found["worst_model"], 60), ("dim",)),
            ]
        )
    held = "on models held out in turn" + (
        "" if run else "; a family column in the CSV holds out what is alike together"
    )
    lines += [
        *table(rows, "<>>>>><", style, indent=2),
        "",
        style.paint(held, "dim"),
        *(_of_a_kit(run) if run else _beside_the_simplest(built)),
        *_doubtful(built),
        f"written to {clean(str(output))}",
    ]
    return "\n".join(lines) + "\n"


@command.command("verify", short_help="Check a pack.")
@click.argument("directories", nargs=-1, required=True, metavar="DIR...", type=click.Path(path_type=Path))
@format_option(["json", "text"])
def verify_command(directories: tuple[Path, ...], format_name: str) -> int:
    """Check that a pack is whole, has the hash that its card states, and was built for this version."""
    from latlint.latency.packs import read_pack

    packs = {str(directory): read_pack(directory) for directory in directories}
    if format_name == "json":
        found = [{"pack": path, "targets": _targets(pack)} for path, pack in packs.items()]
        _console.emit(dump({"schema": "latlint.pack-verify/1", "packs": found}))
    else:
        _console.emit("".join(f"{clean(path)}: good, {', '.join(_targets(pack))}\n" for path, pack in packs.items()))
    return 0


def _targets(pack: Pack) -> list[str]:
    return [target.name for target in pack.targets()]
