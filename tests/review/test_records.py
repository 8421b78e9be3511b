"""Files of records keep every name, say where they are wrong, and merge."""

from __future__ import annotations

import os
import random
import time
import unicodedata

import pytest

from latlint.errors import LatlintError
from latlint.review import lock
from latlint.review.records import decoded, quoted, records, to_text, unquoted

NAMES = [
    "models/net.tflite",
    "a b.tflite",
    " leading.tflite",
    "-h.tflite",
    "größe/模型.tflite",
    'quote".tflite',
    "back\\slash.tflite",
    "line\nbreak.tflite",
    "tab\tand\r.tflite",
    "escape\x1b[2Jdel\x7f.tflite",
    "turned\u202efel.tflite",
    "lines\u2028.tflite",
    "joined\u200d.tflite",
    "wide\u3000space.tflite",
    "#comment.tflite",
    "<<<<<<< HEAD",
    "=======",
    ">>>>>>> theirs",
    "|||||||",
    "",
    os.fsdecode(b"not-utf-8-\xff\xfe.tflite"),
    os.fsdecode(b"\xe2\x80"),
    "\\303\\251",
    "emoji😀.tflite",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_survives(name: str) -> None:
    text = to_text("lock", "remark", [(name, "first"), (name, "second")])
    read = [fields for _, fields in records(text, "lock", "latlint.lock")]
    assert read == [[name, "first"], [name, "second"]]


def test_random_names_survive() -> None:
    source = random.Random(7)
    for _ in range(3000):
        raw = bytes(source.choice(b'a "\\\n\x1b#<=\xc3\xa9\xff\xe2\x80\xaen7') for _ in range(source.randrange(8)))
        name = os.fsdecode(raw)
        assert unquoted(quoted(name)) == name
        assert os.fsencode(unquoted(quoted(name))) == raw


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_inert(name: str) -> None:
    field = quoted(name)
    assert field.isprintable()
    assert all(unicodedata.category(char) not in ("Cf", "Cc", "Cs", "Zl", "Zp") for char in field)
    assert not field.startswith(("#", "<", "=", ">", "|", " "))


def test_plain_names_are_not_quoted() -> None:
    assert [quoted(name) for name in ("models/net.tflite", "-h.tflite", "größe.tflite")] == [
        "models/net.tflite",
        "-h.tflite",
        "größe.tflite",
    ]


def test_lines_are_sorted_and_models_stand_apart() -> None:
    text = to_text("lock", "remark", [("b", "x"), ("a b", "y"), ("a b", "x"), ("B", "x")])
    assert text == '# latlint lock 1\n# remark\n\nB x\n\n"a b" x\n"a b" y\n\nb x\n'
    assert to_text("lock", "remark", []) == "# latlint lock 1\n# remark\n"


HEAD = "# latlint lock 1\n"


@pytest.mark.parametrize(
    ("text", "line", "wrong"),
    [
        ("", 1, "is not '# latlint lock 1'"),
        ("a b\n", 1, "is not '# latlint lock 1'"),
        ("# latlint baseline 1\n", 1, "is not '# latlint lock 1'"),
        ("# latlint lock 2\n", 1, "says version 2, which this latlint does not know"),
        (f"{HEAD}a b\n<<<<<<< HEAD\n", 3, "conflict marker"),
        (f"{HEAD}a b\n=======\n", 3, "conflict marker"),
        (f"{HEAD}||||||| 0a1b2c3\n", 2, "conflict marker"),
        (f"<<<<<<< ours\n{HEAD}", 1, "conflict marker"),
        (f"{HEAD}\n>>>>>>> theirs\n", 3, "conflict marker"),
        (f'{HEAD}"open b\n', 2, "fields between single spaces"),
        (f'{HEAD}"a"b\n', 2, "fields between single spaces"),
        (f"{HEAD}a  b\n", 2, "fields between single spaces"),
        (f"{HEAD}a\tb\n", 2, "fields between single spaces"),
        (f'{HEAD}"\\q"\n', 2, "fields between single spaces"),
        (f'{HEAD}"\\777"\n', 2, "fields between single spaces"),
    ],
)
def test_a_malformed_file_is_refused_with_its_line(text: str, line: int, wrong: str) -> None:
    with pytest.raises(LatlintError) as caught:
        list(records(text, "lock", "latlint.lock"))
    error = caught.value
    assert error.message.startswith(f"line {line} ")
    assert wrong in error.message
    assert "run `latlint lock`" in error.message
    assert (error.code, error.path) == ("LAT903", "latlint.lock")


def test_more_lines_than_anybody_reviews_are_refused_before_they_are_split() -> None:
    """64 MB of line feeds took 18 s and 580 MB."""
    with pytest.raises(LatlintError, match="has more than 200,000 lines") as caught:
        list(records("# latlint lock 1\n" + "\n" * 200_000, "lock", "latlint.lock"))
    assert (caught.value.code, caught.value.path) == ("LAT903", "latlint.lock")


def test_line_feeds_of_other_systems_are_none_of_the_content() -> None:
    text = to_text("lock", "remark", [("a", "b")])
    assert decoded(text.replace("\n", "\r\n").encode(), "latlint.lock") == text
    with pytest.raises(LatlintError, match="line 2 is not UTF-8"):
        decoded(b"# latlint lock 1\n\xff\n", "latlint.lock")


def test_a_byte_order_mark_is_none_of_the_content() -> None:
    text = to_text("lock", "a remark", [("net.tflite", "pixel-4/gpu")])
    assert list(records(f"\ufeff{text}", "lock", "latlint.lock")) == list(records(text, "lock", "latlint.lock"))


@pytest.mark.parametrize(
    "line", ['\\"' * 100_000, '"' * 200_000, '"\\' * 100_000, '"a' * 100_000, '"a" ' * 50_000 + "\\"]
)
def test_a_line_that_is_none_is_refused_in_linear_time(line: str) -> None:
    """40 kB of this took 9 s, and four times as long for twice as much."""
    start = time.process_time()
    with pytest.raises(LatlintError, match="is not made of fields"):
        list(records(f"# latlint lock 1\n{line}", "lock", "latlint.lock"))
    assert time.process_time() - start < 5


@pytest.mark.parametrize("latency_ms", [1e9, 9.999e11, 1e20, 1e300])
def test_a_lock_takes_any_latency_that_it_writes(latency_ms: float) -> None:
    """From 1e9 ms on, `latlint lock` wrote what `lock --check` then refused."""
    entry = lock.Entry("m", "t", latency_ms, latency_ms, latency_ms, 0.5, (("conv2d", 1.0),), "0" * 16, "0.1.0+x")
    (read,) = lock.parsed(lock.to_text([entry]), "latlint.lock").entries.values()
    assert read == entry
