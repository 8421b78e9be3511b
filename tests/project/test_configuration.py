"""Configuration files: one that extends another, and the schema that editors and latlint share."""

from __future__ import annotations

import tomllib
import tracemalloc
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from latlint.cli._toml import settings_text
from latlint.errors import LatlintError
from latlint.project.configuration import load, schema, violation
from latlint.settings import Budget, Settings

EDITOR = jsonschema.Draft7Validator(schema())

EVERY_KEY = """
targets = ["pixel-4/gpu", "galaxy-s10/cpu-*"]
models = ["models/**/*.tflite"]
exclude = ["third_party/**"]
packs = ["own packs", "../more"]
gate = "high"
fail-on = "warning"
unjudged = "warning"
require-budget = true
min-coverage = 0.5
min-gain = 0.02
select = ["LAT0", "LAT1", "float-island"]
ignore = ["LAT104"]
precision = "w8a8"
base = "origin/main"

[per-model-ignores]
"models/**" = ["LAT2"]
plain = []

[severities]
LAT2 = "note"
budget-exceeded = "off"

[shapes]
input_ids = "1x128"
"a b" = "2"
[shapes."models/*.onnx"]
images = "1x3x640x640"

[[budgets]]
max = "10ms"

[[budgets]]
model = "a \\"b\\".tflite"
target = "pixel-4/*"
op = "*conv2d"
warn = "0.001us"
max = "850us"
gate = "low"
message = "Ask \\u007f the\\tcamera team."

[[budgets]]
max-increase = "5.1%"
min-increase = "0.2 ms"

[[waivers]]
code = "LAT101"
reason = "ships in spring"

[[waivers]]
code = "float-island"
model = "models/*"
target = "pixel-4/*"
max = "55.5ms"
reason = "said \\"so\\" \\u202e"
owner = "ada"
expires = 2027-03-01
"""


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def read(tmp_path: Path, text: str) -> Settings:
    return load(config=written(tmp_path / "latlint.toml", text))


def complaint(tmp_path: Path, text: str) -> str:
    with pytest.raises(LatlintError) as caught:
        read(tmp_path, text)
    assert caught.value.code == "LAT901"
    return caught.value.message


def test_what_is_shown_is_a_file_that_says_the_same(tmp_path: Path) -> None:
    settings = read(tmp_path, EVERY_KEY)
    assert {*settings.origins} >= {*schema()["properties"]} - {"extend"}, "the example has every key"
    assert settings.budgets[2] == Budget(max_increase=0.051, min_increase_ms=0.2)
    text = settings_text(settings)
    assert all(char.isprintable() or char == "\n" for char in text), "nothing that steers a terminal"
    assert read(tmp_path, text) == settings


@pytest.mark.parametrize("text", ["0.001us", "12345.678 s", "0.1ms", "3.3333333333333335ms", ".000000001 us"])
@pytest.mark.parametrize("share", ["0%", "0.1 %", "7%", "33.3333333333333333333%", "5.1%", "1234.5%"])
def test_numbers_survive_being_shown(tmp_path: Path, text: str, share: str) -> None:
    settings = read(
        tmp_path, f'targets = ["*"]\n[[budgets]]\nwarn = "{text}"\nmax-increase = "{share}"\nmin-increase = "{text}"\n'
    )
    assert read(tmp_path, settings_text(settings)).budgets == settings.budgets


def test_each_setting_is_shown_with_where_it_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "base.toml", 'gate = "low"\nfail-on = "note"\n[severities]\nLAT2 = "note"\nLAT3 = "off"\n')
    written(
        tmp_path / "latlint.toml",
        'extend = "base.toml"\nfail-on = "warning"\nignore = ["LAT9"]\n[severities]\nLAT2 = "error"\n[[budgets]]\n'
        'target = "pixel-4/gpu"\nmax = "9ms"\n',
    )
    lines = settings_text(load().with_flags(ignore=["LAT3"])).splitlines()
    for line in (
        "# --ignore takes the place of ignore in latlint.toml",
        'targets = ["pixel-4/gpu"]  # named by the budgets',
        'gate = "low"  # base.toml',
        'fail-on = "warning"  # latlint.toml',
        'ignore = ["LAT3"]  # --ignore',
        "min-gain = 0.01  # default",
        'LAT2 = "error"  # latlint.toml',
        'LAT3 = "off"  # base.toml',
        "# latlint.toml:6",
    ):
        assert line in lines


def test_a_file_takes_the_place_of_what_it_extends_key_by_key(tmp_path: Path) -> None:
    written(
        tmp_path / "team/base.toml",
        'extend = "far/root.toml"\ntargets = ["pixel-4/gpu"]\npacks = ["packs"]\nignore = ["LAT3"]\n'
        '[severities]\nLAT2 = "note"\nLAT3 = "off"\n[[budgets]]\nmax = "9ms"\n',
    )
    written(tmp_path / "team/far/root.toml", 'packs = ["never"]\nmin-gain = 0.5\n[shapes]\nx = "1x2"\ny = "3"\n')
    settings = read(
        tmp_path / "a/b",
        'extend = "../../team/base.toml"\nignore = []\n[severities]\nLAT2 = "error"\n[shapes]\nx = "5"\n',
    )
    assert settings.root == tmp_path / "a/b"
    assert settings.targets == ("pixel-4/gpu",)
    assert settings.ignore == ()
    assert settings.min_gain == 0.5
    assert settings.severities == {"LAT2": "error", "LAT3": "off"}
    assert [path.resolve() for path in settings.packs] == [tmp_path / "team/packs"], (
        "relative to the file that names them"
    )
    assert {shape.name: shape.dims for shape in settings.input_shapes(tmp_path / "a/b/m.onnx")} == {
        "x": (5,),
        "y": (3,),
    }
    assert settings.budgets[0].origin.endswith("team/base.toml:8")


def test_pyproject_may_extend_and_be_extended(tmp_path: Path) -> None:
    written(tmp_path / "pyproject.toml", '[tool.latlint]\nextend = "base.toml"\n')
    written(tmp_path / "base.toml", "min-gain = 0.5")
    assert load(tmp_path).min_gain == 0.5
    assert read(tmp_path / "sub", 'extend = "../pyproject.toml"').min_gain == 0.5
    written(tmp_path / "pyproject.toml", "[tool.other]\n")
    with pytest.raises(LatlintError, match=r"has no \[tool.latlint\] to extend \(extended by .*sub/latlint.toml\)"):
        read(tmp_path / "sub", 'extend = "../pyproject.toml"')


def test_what_cannot_be_extended_is_said_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def message(**files: str) -> str:
        for name, text in files.items():
            written(tmp_path / f"{name}.toml", text)
        with pytest.raises(LatlintError) as caught:
            load()
        return f"{caught.value.path}: {caught.value.message}"

    assert message(latlint='extend = "a.toml"') == (
        "a.toml: cannot be read: No such file or directory (extended by latlint.toml)"
    )
    assert message(a='extend = "./b.toml"', b='extend = "latlint.toml"') == (
        "b.toml: extends itself: latlint.toml extends a.toml extends b.toml extends latlint.toml (extended by a.toml)"
    )
    assert message(latlint='extend = "latlint.toml"').startswith("latlint.toml: extends itself")
    assert message(latlint='extend = "a.toml"', a="gait = 1") == (
        "a.toml: unknown key 'gait': did you mean 'gate'? (extended by latlint.toml)"
    )
    assert message(a="[[budgets").startswith("a.toml: is not valid TOML: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[" * 20_000, "is nested too deeply"),
        ("targets = [" + "'*/*', " * 5001 + "]", "targets has 5,001 entries, at most 5,000 are read"),
        ("[per-model-ignores]\n" + "\n".join(f"m{n} = []" for n in range(5001)), "per-model-ignores has 5,001 entries, at most 5,000 are read"),
        ("[[budgets]]\nmax = '1s'\n" * 5001, "budgets has 5,001 entries, at most 5,000 are read"),
        ('extend = "a\\u0000"', "extend must be the path of a configuration file, not 'a\\x00'"),
        ('gate = "middle"', "gate must be point, low or high, not 'middle'"),
        ('fail-on = "off"', "fail-on must be error, warning or note, not 'off'"),
        ("select = []", "select must be a list of one rule or more, such as LAT101, LAT2 or budget-exceeded, not []"),
        ('[severities]\nLAT2 = "bad"', "LAT2 in [severities] must be error, warning, note or off, not 'bad'"),
        ('[severities]\nlat2 = "off"', "lat2 in [severities] must be a rule such as LAT101, LAT2 or budget-exceeded, not 'lat2'"),
        ('[per-model-ignores]\nm = "LAT2"', "m in [per-model-ignores] must be a list of rules such as LAT101, LAT2 or budget-exceeded, not 'LAT2'"),
        ('[[budgets]]\nmax = "1ms"\nmax-increase = "5"', "max-increase in [[budgets]] number 1 must be a percentage such as 5%, not '5'"),
        ('[[budgets]]\nmax = "1ms"\nmin-increase = "1ms"', "min-increase in [[budgets]] number 1 goes with max-increase, which is missing"),
        ('[[budgets]]\nop = "conv2d"\nmax-increase = "5%"', "op and max-increase in [[budgets]] number 1 do not go together"),
        ('[[budgets]]\nmax = "9ms"\nwarn = "9ms"', "warn in [[budgets]] number 1 must be below max, or it never warns"),
        (f'[[budgets]]\nmax = "{"9" * 400}ms"', f"max in [[budgets]] number 1 is out of range: {'9' * 20}…"),
        ('budgets = [{max = "1ms"}, 3]', "budgets must be tables: [[budgets]] with max = \"10ms\", not [{'max': '1ms'}, 3]"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    assert complaint(tmp_path, text) == message


def test_a_percentage_may_end_in_a_line_feed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ``$`` of the schema lets it, and other tools that read the schema do so too."""
    monkeypatch.chdir(tmp_path)
    Path("latlint.toml").write_text('[[budgets]]\nmax-increase = "10%\\n"\n', "utf-8")
    assert load().budgets[0].max_increase == 0.1


def test_the_schema_is_a_schema_and_says_nothing_that_latlint_does_not_check() -> None:
    jsonschema.Draft7Validator.check_schema(schema())
    told = {"$schema", "title", "description", "default", "examples", "definitions", "format"}
    checked = set(
        "$ref additionalProperties allOf anyOf dependencies enum items maximum minimum minItems minLength not pattern properties "
        "propertyNames required type".split()
    )
    assert {keyword for part in parts(schema()) for keyword in part} <= told | checked


def parts(part: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A schema and all schemas in it."""
    yield part
    for keyword in ("properties", "definitions"):
        for inner in part.get(keyword, {}).values():
            yield from parts(inner)
    for keyword in ("items", "propertyNames", "additionalProperties", "not"):
        if isinstance(part.get(keyword), dict):
            yield from parts(part[keyword])
    for keyword in ("allOf", "anyOf"):
        for inner in part.get(keyword, ()):
            yield from parts(inner)


#: Values that one key or another takes, and many that none does.
PROBES: list[Any] = [
    "", "*", "x", "10ms", "10", "0ms", "0.0 ms", " .5s ", "1e3ms", "µs", "850µs", "5%", "0 %", "%", "-5%", "point", "high", "middle", "error",
    "off", "LAT", "LAT2", "LAT2222", "lat2", "float-island", "float_island", "1x3", "0x3", "1x3x", "1x1x1x1x1x1x1x1x1", "10ms\n",
    0, 1, -1, 0.5, 1.5, True, False, [], ["LAT2"], ["x", ""], ["x", 3], [[]], [{}], [{"max": "1ms"}], [{"max": "1ms"}, "x"],
    {}, {"LAT2": "off"}, {"LAT2": ["LAT3"]}, {"x": "1x3"}, {"x": {"y": "1x3"}}, {"x": {"y": {}}}, {"x": []}, {"max": "1ms"},
]  # fmt: skip

BUDGETS: list[dict[str, Any]] = [
    {},
    {"max": "1ms"},
    {"warn": "1ms"},
    {"max-increase": "5%"},
    {"min-increase": "1ms"},
    {"max": "1ms", "min-increase": "1ms"},
    {"max-increase": "5%", "min-increase": "1ms"},
    {"max-increase": "5%", "op": "conv2d"},
    {"max": "1ms", "op": "conv2d"},
    {"max": "1ms", "maximum": "1ms"},
    *({"max": "1ms", key: probe} for key in schema()["definitions"]["budget"]["properties"] for probe in PROBES),
]

WAIVER = schema()["definitions"]["waiver"]["properties"]

DOCUMENTS: list[dict[str, Any]] = [
    {},
    {"unknown": 1},
    tomllib.loads(EVERY_KEY.replace("2027-03-01", '"2027-03-01"')),
    *({key: probe} for key in schema()["properties"] for probe in PROBES),
    *({"budgets": [{"max": "1ms"}, budget]} for budget in BUDGETS),
    *(
        {"waivers": [{"code": "LAT2", "reason": "x", key: probe}]}
        for key in WAIVER
        for probe in [*PROBES, "2027-03-01", "27-3-1"]
    ),
    *({"waivers": [{key: "LAT2"}]} for key in WAIVER),
]


def test_editors_and_latlint_agree_on_what_is_valid() -> None:
    verdicts = [(violation(document) is None, EDITOR.is_valid(document), document) for document in DOCUMENTS]
    assert [each for each in verdicts if each[0] != each[1]] == []
    good = sum(valid for valid, _, _ in verdicts)
    assert (good, len(verdicts) - good) > (90, 400), "both kinds are among them"


@pytest.mark.parametrize("name", ["latlint.toml", "pyproject.toml"])
def test_a_byte_order_mark_and_line_ends_of_windows_are_read_over(tmp_path: Path, name: str) -> None:
    text = (
        'targets = ["pixel-4/gpu"]\r\n' if name == "latlint.toml" else '[tool.latlint]\r\ntargets = ["pixel-4/gpu"]\r\n'
    )
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert load(config=tmp_path / name).targets == ("pixel-4/gpu",)


@pytest.mark.parametrize(
    "text",
    [
        *("models = [%]", "targets = [%]", "packs = [%]", "extend = %", "base = %", "min-gain = %", "ignore = [%]"),
        *('[[budgets]]\nmax = "3ms"\nmessage = %', '[[waivers]]\ncode = "LAT101"\nreason = %', "[shapes]\nx = %"),
        *("[severities]\nLAT1 = %", "[per-model-ignores]\nx = [%]", "[[budgets]]\nmax = %"),
    ],
)
@pytest.mark.parametrize("value", ["2027-01-01", "2027-01-01T00:00:00Z", "12:00:00"])
def test_a_day_is_no_text(tmp_path: Path, text: str, value: str) -> None:
    """TOML has days, and all that asked for text took them."""
    with pytest.raises(LatlintError, match="must be"):
        read(tmp_path, text.replace("%", value))


@pytest.mark.parametrize(
    "key", [".".join("a" * 30_000), '"a"' + ' . "a"' * 20_000, "a." + ".".join(["'a b'"] * 20_000)]
)
@pytest.mark.parametrize("form", ["{} = 1", "[{}]", "[[{}]]", "x = {{{} = 1}}", '"""\n = "{}"'])
def test_a_key_of_very_many_parts_is_refused_before_it_is_parsed(tmp_path: Path, key: str, form: str) -> None:
    """30 kB of it took 883 MB, and four times as much for twice as many."""
    (tmp_path / "pyproject.toml").write_text(form.format(key), encoding="utf-8")
    tracemalloc.start()
    with pytest.raises(LatlintError, match=r"has a key of more than 32 parts|is not valid TOML"):
        load(config=tmp_path / "pyproject.toml")
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_dots_in_texts_and_comments_are_not_counted(tmp_path: Path) -> None:
    dots = "a." * 1000
    text = f'# {dots}\nmodels = ["{dots}", \'{dots}\']\n[[budgets]]\nmax = "3ms"\nmessage = """\n{dots}"{dots}"""\n'
    assert read(tmp_path, text).models == (dots, dots)


@pytest.mark.parametrize(
    "text", ['[[budgets]]\nmax = "3ms"\nmessage = "%"', 'models = ["%"]', '"%" = 1', '[shapes]\n"%" = "1"']
)
def test_a_text_that_every_report_would_repeat_is_bounded(tmp_path: Path, text: str) -> None:
    with pytest.raises(LatlintError, match=r"5,000 characters, at most 4,096|must be a list of texts") as caught:
        read(tmp_path, text.replace("%", "x" * 5000))
    assert len(caught.value.message) < 200
