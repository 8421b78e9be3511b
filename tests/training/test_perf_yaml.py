"""AI Hub Models' perf.yaml: the job that is meant is found, and whatever else a file holds is one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest

from latlint.errors import LatlintError
from latlint.training.user import perf_yaml
from latlint.training.user.readers import read_all

#: As releases of 2026 write it, cut to two devices.
PUBLISHED = """\
supported_devices:
- Samsung Galaxy S24
- QCS8275 (Proxy)
supported_chipsets:
- qualcomm-snapdragon-8gen3
precisions:
  float:
    components:
      MobileNet-v2:
        universal_assets:
          tflite:
            model_id: mmdz3d00q
            tool_versions:
              qairt: 2.41.0.251128145156_191518
        device_assets: {}
        performance_metrics:
          QCS8275 (Proxy):
            tflite:
              job_id: jp0l77w0p
              job_status: Passed
              inference_time_milliseconds: 2.615
              estimated_peak_memory_range_mb:
                min: 0
                max: 127
              primary_compute_unit: NPU
              layer_counts:
                total: 71
                npu: 71
            qnn_dlc:
              job_id: jgzrkk645
              job_status: Failed
          'Samsung Galaxy S24':
            tflite:
              job_id: jprejjmk5
              job_status: Passed
              inference_time_milliseconds: 0.556
            onnx:
              job_status: Passed
              inference_time_milliseconds: 0.528
  w8a8:
    components:
      MobileNet-v2:
        performance_metrics:
          Samsung Galaxy S24:
            tflite:
              inference_time_milliseconds: 0.25
            genie:
              llm_metrics:
              - context_length: 4096
                time_to_first_token_range_milliseconds:
                  min: 0.1
              - context_length: 8192
              job_status: Passed
"""


@pytest.mark.parametrize(
    ("wanted", "ms"),
    [
        ("Samsung Galaxy S24/tflite/float", 0.556),
        ("float / tflite / Samsung Galaxy S24", 0.556),
        ("onnx", 0.528),
        ("QCS8275 (Proxy)/tflite", 2.615),
        ("tflite/w8a8/MobileNet-v2", 0.25),
    ],
)
def test_as_many_names_pick_a_job_as_tell_it_from_the_others(wanted: str, ms: float) -> None:
    assert perf_yaml.measured(PUBLISHED, wanted).ms == ms


def test_lists_are_left_out_and_what_follows_them_is_not() -> None:
    [genie] = [row for row in perf_yaml.rows(PUBLISHED) if row.runtime == "genie"]
    assert genie.facts == {"llm_metrics": "", "job_status": "Passed"}
    assert len(perf_yaml.rows(PUBLISHED)) == 6


def test_a_profile_is_its_models(tmp_path: Path) -> None:
    path = tmp_path / "a#b.yaml"
    path.write_text(PUBLISHED, "utf-8")
    [found] = read_all([f"m.onnx={path}#Samsung Galaxy S24/onnx"])
    assert (found.model, found.total_ms, found.ops) == (Path("m.onnx"), 0.528, ())
    assert found.source == f"{path}#Samsung Galaxy S24/onnx"


def test_the_version_that_compiled_a_network_is_read_where_it_is_stated(tmp_path: Path) -> None:
    path = tmp_path / "perf.yaml"
    path.write_text(_with("inference_time_milliseconds: 0.556", OWN), "utf-8")
    jobs = {
        "QCS8275 (Proxy)/tflite": "2.41.0.251128145156_191518",
        "Samsung Galaxy S24/tflite/float": "2.50.1",
        "onnx": "",
    }
    assert [each.version for each in read_all([f"m.onnx={path}#{job}" for job in jobs])] == [*jobs.values()]


#: A job that states its own version.
OWN = """inference_time_milliseconds: 0.556
              tool_versions:
                qairt: 2.50.1"""


def _with(old: str, new: str) -> str:
    assert old in PUBLISHED
    return PUBLISHED.replace(old, new)


@pytest.mark.parametrize(
    ("text", "job", "message"),
    [
        (PUBLISHED, "", "6 jobs: pick one after #, such as #QCS8275 (Proxy)/tflite/float/MobileNet-v2, "),
        (PUBLISHED, "tflite/float", "2 jobs: pick one after #"),
        (PUBLISHED, "Galaxy S24", "'Galaxy S24' picks no job: there are QCS8275 (Proxy)/tflite/float/MobileNet-v2, "),
        (PUBLISHED, "qnn_dlc", "no inference_time_milliseconds (job_status: Failed): pick another job"),
        (PUBLISHED, "genie", "no inference_time_milliseconds (job_status: Passed): pick another job"),
        (_with("2.615", "-1"), "QCS8275 (Proxy)/tflite", "expected more than 0, got '-1'"),
        (_with("2.615", "nan"), "QCS8275 (Proxy)/tflite", "expected more than 0, got 'nan'"),
        (_with("2.615", "soon"), "QCS8275 (Proxy)/tflite", "expected more than 0, got 'soon'"),
        (_with("job_id: jp0l77w0p", "job_status: Failed"), "", "line 20: 'job_status' a second time"),
        (_with("2.615", "&a 2.615"), "", "line 21: expected a name, a colon and a value"),
        (_with("2.615", "*a"), "", "line 21: expected a name, a colon and a value"),
        (_with("2.615", "{a: 1}"), "", "line 21: expected a name, a colon and a value"),
        (_with("2.615", "'2"), "", "line 21: expected a name, a colon and a value"),
        (_with("  job_id: jp0l77w0p", " job_id: x"), "", "indented unlike the lines above it"),
        ("models:\n- name: MobileNet-v2\n  performance_metrics:\n", "", "the form of older releases"),
        ("precisions:\n  float: {}\n", "", "no job in it"),
        ("- 1\n", "", "line 1: expected a name, a colon"),
        ("", "", "no job in it"),
    ],
)
def test_what_is_wrong_is_one_clear_line(text: str, job: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "perf.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(LatlintError) as raised:
        read_all([f"m.onnx={path}#{job}"])
    assert message in raised.value.message
    assert "\n" not in raised.value.message
    assert raised.value.path == str(path)


def test_without_a_model_the_message_says_how_to_name_it(tmp_path: Path) -> None:
    (tmp_path / "perf.yaml").write_text(PUBLISHED, "utf-8")
    with pytest.raises(LatlintError, match=r"or MODEL=perf\.yaml"):
        read_all([f"{tmp_path / 'perf.yaml'}#onnx"])


@pytest.mark.parametrize(
    "hostile",
    [
        "a: " * 300_000,
        "".join(f"{' ' * depth}a:\n" for depth in range(1500)),
        "'" * 1_000_000,
        "a:\n- \n" + "- x\n" * 300_000,
    ],
    ids=["colons", "deep", "quotes", "items"],
)
def test_a_hostile_file_is_an_error(hostile: str) -> None:
    with pytest.raises(ValueError, match=r"no job in it|line 1: expected"):
        perf_yaml.measured(hostile, "")


def test_a_file_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "perf.yaml"
    with path.open("wb") as file:
        file.truncate(perf_yaml.MAX_BYTES + 1)
    with pytest.raises(LatlintError, match="has more than"):
        read_all([f"m.onnx={path}"])
