"""Packs come back as they were written; whatever else a directory holds ends in one line, and runs no code."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latlint.data import data_dir
from latlint.errors import LatlintError
from latlint.latency import cards, catalogue, engine
from latlint.latency.costs import costs
from latlint.latency.models import builtin, model_of
from latlint.latency.packs import Pack, load_targets, prune_common, read_pack, targets_in, write_pack
from latlint.runtime.types import Kernel
from tests.targets import PHONES, phones

Change = Callable[[dict[str, Any]], object]
Damage = Callable[[Change], Path]

BUNDLED = sorted(path.parent.name for path in data_dir("predictors").glob("*/card.json"))


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def refusal(directory: Path) -> str:
    """The message with which the pack in ``directory`` is refused."""
    with pytest.raises(LatlintError) as caught:
        read_pack(directory)
    assert caught.value.code == "LAT901"
    assert caught.value.path == str(directory / "card.json")
    assert "\n" not in caught.value.message
    return caught.value.message


def test_a_pack_comes_back_as_it_was_written(pack: Pack, tmp_path: Path) -> None:
    write_pack(pack, tmp_path)
    found = read_pack(tmp_path)
    assert {key: value for key, value in found.card.items() if key not in {"sha256", "arrays"}} == pack.card
    assert found.arrays.keys() == pack.arrays.keys()
    for name, array in pack.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)


def test_the_same_pack_is_the_same_bytes(pack: Pack, tmp_path: Path) -> None:
    shuffled = replace(pack, arrays=dict(reversed(pack.arrays.items())))
    write_pack(pack, tmp_path / "once")
    write_pack(shuffled, tmp_path / "twice")
    write_pack(read_pack(tmp_path / "once"), tmp_path / "again")
    assert files(tmp_path / "once") == files(tmp_path / "twice") == files(tmp_path / "again")


@pytest.mark.parametrize("device", BUNDLED)
def test_a_bundled_pack_is_written_as_it_is_read(device: str, tmp_path: Path) -> None:
    root = data_dir("predictors")
    common = b'"common:' in (root / device / "card.json").read_bytes()
    write_pack(read_pack(root / device), tmp_path / device, common=common)
    assert files(tmp_path / device) == files(root / device)
    if common:
        assert files(tmp_path / "common").items() <= files(root / "common").items()


def test_packs_have_what_they_share_in_files_that_each_is_named_by_its_content(tmp_path: Path) -> None:
    root = data_dir("predictors")
    twins = ["galaxy-s24", "galaxy-s25"]
    for device in (*twins, "q-6690"):
        write_pack(read_pack(root / device), tmp_path / device, common=True)
    one, other = (read_pack(tmp_path / device).card for device in twins)
    assert one["covers"]["npu-float32-int8"] is other["covers"]["npu-float32-int8"]
    before = files(tmp_path / "common")
    for name, content in before.items():
        assert name == f"{hashlib.sha256(content).hexdigest()}.json"
    shutil.rmtree(tmp_path / "q-6690")
    prune_common(tmp_path)
    after = files(tmp_path / "common")
    assert after.items() < before.items()
    assert read_pack(tmp_path / "galaxy-s24").card == one


def test_a_pack_that_is_copied_alone_is_whole(tmp_path: Path) -> None:
    bundled = data_dir("predictors") / "galaxy-s24"
    assert b'"common:' in (bundled / "card.json").read_bytes()
    shutil.copytree(bundled, tmp_path / "mine")
    assert read_pack(tmp_path / "mine").card == read_pack(bundled).card


def test_the_bundled_packs_need_all_that_they_have_in_common(tmp_path: Path) -> None:
    shutil.copytree(data_dir("predictors"), tmp_path / "packs", ignore=shutil.ignore_patterns("arrays.bin"))
    prune_common(tmp_path / "packs")
    assert files(tmp_path / "packs" / "common") == files(data_dir("predictors") / "common")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"[]", "does not have the hash that its name states"),
        (b'{"envelope": {}}', "common/NAME.json.measured_terms: expected a list of strings"),
        (b"[", "not a device pack"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_packs_have_in_common_is_checked(content: bytes | None, message: str, pack: Pack, tmp_path: Path) -> None:
    write_pack(pack, tmp_path / "toy", common=True)
    card = json.loads((tmp_path / "toy" / "card.json").read_bytes())
    good = next(each for each in card["covers"].values() if isinstance(each, str))
    name = (
        hashlib.sha256(content or b"").hexdigest()
        if message != "does not have the hash that its name states"
        else "0" * 64
    )
    text = (tmp_path / "toy" / "card.json").read_text("utf-8").replace(good, f"common:{name}")
    (tmp_path / "toy" / "card.json").write_text(text, "utf-8")
    if content is not None:
        (tmp_path / "common" / f"{name}.json").write_bytes(content)
    with pytest.raises(LatlintError) as caught:
        read_pack(tmp_path / "toy")
    assert caught.value.code == "LAT901"
    assert message.replace("NAME", name) in caught.value.message


def test_a_card_names_nothing_but_hashes_in_common(pack: Pack, tmp_path: Path) -> None:
    write_pack(pack, tmp_path)
    card = json.loads((tmp_path / "card.json").read_bytes())
    card["covers"]["cpu"] = "common:../../secret"
    (tmp_path / "card.json").write_text(json.dumps(card), "utf-8")
    assert "covers.cpu: expected an object" in refusal(tmp_path)


def test_the_bundled_targets_have_those_of_six_phones() -> None:
    assert list(load_targets()) == sorted(load_targets())
    found = phones()
    assert {target.device for target in found.values()} == set(PHONES)
    assert len(found) == 48
    assert {"pixel-4/gpu", "pixel-4/cpu-1large", "galaxy-s10/cpu-1large2med", "iphone-xs/gpu"} <= found.keys()
    assert all(target.name == f"{target.device}/{target.processor.name}" for target in found.values())


def test_a_directory_of_packs_adds_targets_and_replaces_those_of_the_same_name(pack: Pack, tmp_path: Path) -> None:
    write_pack(replace(pack, card={**pack.card, "device": "a-toy"}), tmp_path / "a")
    write_pack(pack, tmp_path / "toy")
    write_pack(replace(pack, card={**pack.card, "device": "pixel-4", "title": "Mine"}), tmp_path / "mine")
    found = load_targets([tmp_path])
    assert list(found) == sorted(found)
    assert {"toy/gpu", "toy/cpu-1large"} <= found.keys()
    assert found["pixel-4/gpu"].pack.card["title"] == "Mine"
    assert found["pixel-4/cpu-1med"].pack.card["title"] == "Google Pixel 4"
    assert load_targets([tmp_path / "toy"])["toy/gpu"].processor.kind == "gpu"


def test_a_directory_without_packs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LatlintError, match="no device pack here") as caught:
        load_targets([tmp_path])
    assert (caught.value.code, caught.value.path) == ("LAT901", str(tmp_path))


def test_costs_and_features_are_found_by_name_whatever_their_order(pack: Pack, tmp_path: Path) -> None:
    """A pack of another version may list its terms and features otherwise."""
    known, known_features = pack.card["terms"], pack.card["features"]
    arrays = dict(pack.arrays)
    arrays["cpu/theta"] = np.arange(len(known["cpu"]), dtype=float)
    arrays["gpu/theta"] = np.arange(len(known["gpu"]), dtype=float)
    there = {name: arrays[name][::-1] for name in ("cpu/theta", "gpu/theta")}
    there["gpu/conv/feature"] = (len(known_features) - 1 - arrays["gpu/conv/feature"]).astype(np.uint8)
    names = {
        "terms": {kind: list(terms)[::-1] for kind, terms in known.items()},
        "features": known_features[::-1],
    }
    write_pack(Pack({**pack.card, **names}, {**arrays, **there}), tmp_path)
    found = {target.key: target for target in read_pack(tmp_path).targets()}
    for key, executor in (("cpu-1large", "builtin"), ("cpu-1large", "xnnpack"), ("gpu", "gpu")):
        model, kind = model_of(executor), found[key].processor.kind
        costs = found[key].costs(model)
        assert costs.tolist() == [known[kind].index(name) for name in model.names]
    forest = found["gpu"].pack.forest("gpu", "conv", model_of("gpu"))
    assert forest is not None
    rows = np.zeros((2, len(known_features)), np.float32)
    rows[1, known_features.index("outputs")] = 100
    assert forest.predict(rows).tolist() == pytest.approx([0, np.log(2)])


@pytest.mark.parametrize("kind", ["cpu", "gpu"])
@pytest.mark.parametrize("change", [lambda terms: terms.pop(), lambda terms: terms.append("conv.new")])
def test_a_pack_with_fewer_or_more_names_than_costs_is_refused(
    kind: str, change: Callable[[list[str]], object], damaged: Damage
) -> None:
    assert "theta: expected the name of an array of" in refusal(damaged(lambda card: change(card["terms"][kind])))


def test_a_pack_that_names_a_term_twice_is_refused(damaged: Damage) -> None:
    def twice(card: dict[str, Any]) -> None:
        card["terms"]["gpu"][0] = card["terms"]["gpu"][1]

    assert "terms.gpu: expected each name once" in refusal(damaged(twice))


@pytest.mark.parametrize(("executor", "name"), [("gpu", "a.new.name"), ("xnnpack", "xnn.new"), ("builtin", "i8.new")])
def test_a_term_that_this_version_does_not_know_is_refused_by_the_model_that_it_is_for(
    executor: str, name: str, damaged: Damage
) -> None:
    """What a kernel costs is shared out among all terms: without one of them a prediction is too low."""
    model = model_of(executor)

    def rename(card: dict[str, Any]) -> None:
        terms = card["terms"][model.kind]
        terms[terms.index(model.names[3])] = name

    found = read_pack(damaged(rename))
    target = next(target for target in found.targets() if target.processor.kind == model.kind)
    with pytest.raises(LatlintError, match=f"{name}' is a term of another version") as caught:
        target.costs(model)
    assert (caught.value.code, Path(caught.value.path).name) == ("LAT901", "card.json")
    for other in {"builtin", "xnnpack"} - {executor}:
        assert next(t for t in found.targets() if t.host).costs(model_of(other)).all()


def test_a_forest_that_looks_at_another_feature_is_refused(damaged: Damage) -> None:
    found = read_pack(damaged(lambda card: card["features"].__setitem__(3, "colour")))
    with pytest.raises(LatlintError, match="features: 'colour' is of another version"):
        found.forest("gpu", "conv", model_of("gpu"))


def set_at(*path: Any) -> Change:
    """Sets what is at ``path[:-1]`` of the card to ``path[-1]``."""

    def change(card: Any) -> None:
        for key in path[:-2]:
            card = card[key]
        card[path[-2]] = path[-1]

    return change


def drop(*path: Any) -> Change:
    def change(card: Any) -> None:
        for key in path[:-1]:
            card = card[key]
        del card[path[-1]]

    return change


def where(**changes: Any) -> Change:
    """Changes where ``gpu/theta`` lies."""
    return lambda card: card["arrays"]["gpu/theta"].update(changes)


GPU = ("processors", "gpu")
ENVELOPE = ("covers", "gpu", "envelope", "convolution_2d:float32")

BOUNDS = {"start_ms": 1.0, "mac_ns": 1.0, "byte_ns": 1.0, "low": 0.5, "high": 2.0, "share": 0.5}

DAMAGES: dict[str, Change] = {
    "another schema": set_at("schema", "latlint.plan/1"),
    "a version that is none": set_at("schema", "latlint.pack/one"),
    "a version of many digits": set_at("schema", "latlint.pack/" + "9" * 5000),
    "no schema": drop("schema"),
    "no arrays": drop("arrays"),
    "arrays are a list": set_at("arrays", []),
    "an array is missing": drop("arrays", "gpu/theta"),
    "a forest's array is missing": drop("arrays", "gpu/conv/left"),
    "an array is nowhere": set_at("arrays", "gpu/theta", None),
    "an array has an argument more": where(order="F"),
    "an array without offset": drop("arrays", "gpu/theta", "offset"),
    "offset beyond the file": where(offset=1 << 40),
    "offset just beyond the file": lambda card: where(offset=card["arrays"]["gpu/theta"]["offset"] + 40)(card),
    "negative offset": where(offset=-8),
    "offset is text": where(offset="0"),
    "offset is a boolean": where(offset=True),
    "giant shape": where(shape=[1 << 62]),
    "a shape that overflows": where(shape=[1 << 32, 1 << 32]),
    "a shape of many digits": where(shape=[10**400]),
    "negative shape": where(shape=[-1]),
    "shape of two dimensions": where(shape=[2, 23]),
    "shape is a number": where(shape=46),
    "shape of fractions": where(shape=[4.5]),
    "objects": where(dtype="|O"),
    "object by name": where(dtype="object"),
    "a record type": where(dtype="f8,O"),
    "a type written as a list": where(dtype=[["x", "O"]]),
    "big endian": where(dtype=">f8"),
    "text": where(dtype="<U8"),
    "fewer costs than terms": where(shape=[3]),
    "costs of another type": where(dtype="<f4"),
    "no device": drop("device"),
    "a device that is a path": set_at("device", "../../etc"),
    "a device of control characters": set_at("device", "\x1b[31mred"),
    "no processors": set_at("processors", {}),
    "processors are a list": set_at("processors", ["gpu"]),
    "a processor's name with a slash": lambda card: card["processors"].update({"a/b": card["processors"]["gpu"]}),
    "a processor that is nothing": set_at(*GPU, None),
    "a processor that is not described": drop(*GPU, "processor"),
    "a processor with a fact more": set_at(*GPU, "processor", "ghz", 2.8),
    "a processor without runtime": drop(*GPU, "processor", "runtime"),
    "a runtime that is a number": set_at(*GPU, "processor", "runtime", 2.1),
    "a kind that is no word": set_at(*GPU, "processor", "kind", "../npu"),
    "another kind without its terms": set_at(*GPU, "processor", "kind", "npu"),
    "terms of its own that are not there": set_at(*GPU, "terms", "npu"),
    "terms of its own that are a list": set_at(*GPU, "terms", ["gpu"]),
    "two runtimes after one another": lambda card: card["processors"].update({"a@b@c": card["processors"]["gpu"]}),
    "a runtime without a name": lambda card: card["processors"].update({"gpu@": card["processors"]["gpu"]}),
    "defaults that are a list": set_at("defaults", ["npu"]),
    "a default that is not there": set_at("defaults", {"npu": {"tflite": "litert"}}),
    "a default beside a processor of its name": set_at("defaults", {"gpu": {"tflite": "litert"}}),
    "no default": set_at("defaults", {"npu": {}}),
    "no threads": set_at(*GPU, "processor", "threads", 0),
    "threads in words": set_at(*GPU, "processor", "threads", "two"),
    "a precision that nothing computes in": set_at(*GPU, "processor", "precision", "peleenet32"),
    "costs that are not there": set_at(*GPU, "theta", "gpu/costs"),
    "costs that are a list": set_at(*GPU, "theta", [1.0]),
    "no interval": set_at(*GPU, "interval", {}),
    "an interval without low": drop(*GPU, "interval", "float32", "low"),
    "an interval above the prediction": set_at(*GPU, "interval", "float32", "low", 0.1),
    "an interval below the prediction": set_at(*GPU, "interval", "float32", "high", -0.1),
    "an endless interval": set_at(*GPU, "interval", "float32", "high", 1e300),
    "a level of 90": set_at(*GPU, "interval", "float32", "level", 90),
    "accuracy in words": set_at(*GPU, "accuracy", "good"),
    "an accuracy in words": set_at(*GPU, "accuracy", {"float32": {"mean_error_percent": "small"}}),
    "a family's error in words": set_at(*GPU, "accuracy", {"float32": {"by_family_percent": {"resnet": "small"}}}),
    "families as a list": set_at(*GPU, "accuracy", {"float32": {"by_family_percent": [1.0]}}),
    "a version that is a number": set_at(*GPU, "version", {"float32": 2.5}),
    "one version for all": set_at(*GPU, "version", "2.50"),
    "more than all the way from a bound": set_at(*GPU, "bounds", {**BOUNDS, "share": 1.5}),
    "a bound without start": set_at(*GPU, "bounds", {**BOUNDS, "start_ms": None}),
    "evidence in words": set_at(*GPU, "evidence", "much"),
    "evidence for no precision": set_at(*GPU, "evidence", {"conv": 3}),
    "fewer families than none": set_at(*GPU, "evidence", {"float32": {"conv": -1}}),
    "no queue": drop(*GPU, "queue"),
    "a queue without start": drop(*GPU, "queue", "start_ms"),
    "a queue that goes backwards": set_at(*GPU, "queue", "dispatch_ms", -0.1),
    "memory that moves nothing": set_at(*GPU, "queue", "copy_gb_per_s", 0),
    "a queue of many digits": set_at(*GPU, "queue", "start_ms", 10**400),
    "no fallback": drop(*GPU, "fallback"),
    "a fallback that is not there": set_at(*GPU, "fallback", "cpu-9large"),
    "a fallback that is the GPU": set_at(*GPU, "fallback", "gpu"),
    "no covers": drop("covers"),
    "covers without the GPU": drop("covers", "gpu"),
    "measured terms that are one word": set_at("covers", "gpu", "measured_terms", "conv.macs"),
    "measured terms that are lists": set_at("covers", "gpu", "measured_terms", [["conv.macs"]]),
    "an envelope with one end": set_at(*ENVELOPE, [[0] * 6]),
    "an envelope of five sizes": set_at(*ENVELOPE, [[0] * 5, [20] * 5]),
    "an envelope of words": set_at(*ENVELOPE, [["small"] * 6, ["big"] * 6]),
    "an envelope of booleans": set_at(*ENVELOPE, [[False] * 6, [True] * 6]),
    "no names of terms": drop("terms"),
    "no names of the GPU's terms": drop("terms", "gpu"),
    "no names of features": drop("features"),
    "no forests": drop("forests"),
    "a forest without depth": set_at("forests", "gpu/conv", None),
    "a forest that is not there": set_at("forests", "gpu/mean", 3),
    "a forest walked for ever": set_at("forests", "gpu/conv", 1 << 40),
    "a forest of negative depth": set_at("forests", "gpu/conv", -1),
    "a number that is none": set_at("note", float("nan")),
    "a title that is a number": set_at("title", 4),
    "sources that are one word": set_at("sources", "web"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_card_is_refused(damage: str, damaged: Damage) -> None:
    assert refusal(damaged(DAMAGES[damage])).startswith(("damaged pack: ", "not a device pack: "))


def test_the_pack_that_is_damaged_here_is_sound_before(damaged: Damage) -> None:
    assert read_pack(damaged(lambda card: None)).device == "toy"


@pytest.mark.parametrize(
    ("array", "change"),
    [
        ("gpu/theta", lambda a: a.__setitem__(3, np.nan)),
        ("gpu/theta", lambda a: a.__setitem__(3, np.inf)),
        ("cpu/theta", lambda a: a.__setitem__(3, -1e-9)),
        ("gpu/conv/left", lambda a: a.__setitem__(0, 3)),
        ("gpu/conv/right", lambda a: a.__setitem__(0, 65535)),
        ("gpu/conv/roots", lambda a: a.__setitem__(0, 3)),
        ("gpu/conv/feature", lambda a: a.__setitem__(0, 200)),
        ("gpu/conv/number", lambda a: a.__setitem__(0, np.nan)),
        ("gpu/conv/number", lambda a: a.__setitem__(2, np.inf)),
        ("gpu/conv/number", lambda a: a.__setitem__(2, 1e4)),
    ],
)
def test_numbers_that_no_training_gives_are_refused(
    array: str, change: Callable[[Any], object], pack: Pack, tmp_path: Path
) -> None:
    changed = pack.arrays[array].copy()
    change(changed)
    write_pack(replace(pack, arrays={**pack.arrays, array: changed}), tmp_path)
    assert "damaged pack: " in refusal(tmp_path)


@pytest.mark.parametrize("part", ["feature", "left", "right"])
def test_a_forest_with_half_its_nodes_is_refused(part: str, pack: Pack, tmp_path: Path) -> None:
    name = f"gpu/conv/{part}"
    write_pack(replace(pack, arrays={**pack.arrays, name: pack.arrays[name][:2]}), tmp_path)
    assert "as many as nodes" in refusal(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"not json",
        b"[]",
        b"null",
        b'"latlint.pack/1"',
        b"\xff\xfe\x00",
        b"{",
        b'{"schema": NaN}',
        b"[" * 100_000,
        b'{"schema": ' + b"9" * 10_000 + b"}",
        pickle.dumps({"schema": "latlint.pack/1"}),
    ],
)
def test_a_card_that_is_not_a_card_is_refused(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "card.json").write_bytes(text)
    (tmp_path / "arrays.bin").write_bytes(b"")
    refusal(tmp_path)


def test_a_card_of_more_processors_than_any_device_has_is_refused(pack: Pack, tmp_path: Path) -> None:
    """Each is a target: to look through half a million took 7 s."""
    many = dict.fromkeys((f"cpu-{number}" for number in range(2001)), 1)
    card = {"schema": "latlint.pack/2", "device": "d", "processors": many}
    (tmp_path / "card.json").write_text(json.dumps(card), "utf-8")
    (tmp_path / "arrays.bin").write_bytes(b"")
    assert "more than 2,000 processors" in refusal(tmp_path)


@pytest.mark.parametrize("known", [[5e-324], [1e15, 5e-324], [1e-300, 1e15, 1.0, 1.0]])
@pytest.mark.parametrize("measured", [False, True])
def test_costs_at_the_ends_of_what_floats_hold_fill_in_no_others(known: list[float], measured: bool) -> None:
    """What a pack lacks is filled in by how fast its processor is: logarithms of nothing, and lines through what is 300 digits apart."""
    names = [*builtin.MODEL.terms][::2]
    given = {name: known[at % len(known)] for at, name in enumerate(names)}
    with np.errstate(all="raise"):
        found = costs(builtin.MODEL, given, names[::2] if measured else (), 4)
    assert bool(np.all((found >= 0) & (found < 1e30)))


def test_arrays_with_another_hash_are_refused(pack: Pack, tmp_path: Path) -> None:
    write_pack(pack, tmp_path)
    blob = bytearray((tmp_path / "arrays.bin").read_bytes())
    blob[11] ^= 1
    (tmp_path / "arrays.bin").write_bytes(blob)
    assert "does not have the hash" in refusal(tmp_path)


def test_cut_arrays_are_refused_even_with_their_hash(pack: Pack, tmp_path: Path) -> None:
    write_pack(pack, tmp_path)
    blob = (tmp_path / "arrays.bin").read_bytes()[:100]
    card = json.loads((tmp_path / "card.json").read_text("utf-8")) | {"sha256": hashlib.sha256(blob).hexdigest()}
    (tmp_path / "arrays.bin").write_bytes(blob)
    (tmp_path / "card.json").write_text(json.dumps(card), "utf-8")
    assert "ends beyond the 100 bytes" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["card.json", "arrays.bin"])
def test_a_file_that_is_missing_or_a_directory_is_refused(name: str, pack: Pack, tmp_path: Path) -> None:
    write_pack(pack, tmp_path)
    (tmp_path / name).unlink()
    refusal(tmp_path)
    (tmp_path / name).mkdir()
    assert f"{name} is not a file" in refusal(tmp_path)


@pytest.mark.parametrize(("name", "limit"), [("card.json", "MAX_CARD_BYTES"), ("arrays.bin", "MAX_ARRAYS_BYTES")])
def test_a_file_beyond_the_bound_is_refused_without_reading_it_all(
    name: str, limit: str, pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pack(pack, tmp_path)
    size = (tmp_path / name).stat().st_size
    monkeypatch.setattr(f"latlint.latency.catalogue.{limit}", size - 1)
    assert f"{name} has more than {size - 1} bytes" in refusal(tmp_path)
    monkeypatch.setattr(f"latlint.latency.catalogue.{limit}", size)
    assert read_pack(tmp_path).device == "toy"


def test_envelopes_have_as_many_sizes_as_the_engine_compares() -> None:
    kernel = Kernel("conv2d", "convolution_2d", (0,), ((1, 8, 8, 4),), ((1, 8, 8, 4),))
    assert len(engine.sizes(kernel)) == cards.SIZES


def test_bundled_packs_hold_what_they_must_and_are_the_targets_of_the_index() -> None:
    root = data_dir("predictors")
    bundled = [read_pack(path.parent, unknown=True) for path in root.glob("*/card.json")]
    assert {target.name for pack in bundled for target in pack.targets()} == set(catalogue.find_targets())


def test_a_bundled_pack_is_looked_through_where_a_byte_of_it_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not before: tests have."""
    looked: list[Any] = []
    monkeypatch.setattr(cards, "check", lambda *given: looked.append(given))
    shutil.copytree(data_dir("predictors") / "galaxy-s24", tmp_path / "galaxy-s24")
    assert read_pack(tmp_path / "galaxy-s24").revision and not looked
    card = tmp_path / "galaxy-s24" / "card.json"
    card.write_bytes(card.read_bytes() + b" ")
    assert read_pack(tmp_path / "galaxy-s24").revision and len(looked) == 1
    (tmp_path / "galaxy-s24" / "arrays.bin").write_bytes(b"")
    assert "arrays.bin does not have the hash" in refusal(tmp_path / "galaxy-s24")


def test_a_bundled_pack_is_read_once_a_process_unless_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another is read each time."""
    shutil.copytree(data_dir("predictors") / "pixel-8a", tmp_path / "pixel-8a")
    found = {"pixel-8a/gpu": tmp_path / "pixel-8a"}
    assert targets_in(found)[0].pack is not targets_in(found)[0].pack
    monkeypatch.setattr("latlint.latency.packs.data_dir", lambda name: tmp_path)
    assert targets_in(found)[0].pack is targets_in(found)[0].pack
    (tmp_path / "pixel-8a" / "arrays.bin").write_bytes(b"")
    with pytest.raises(LatlintError, match=r"arrays\.bin does not have the hash"):
        targets_in(found)
