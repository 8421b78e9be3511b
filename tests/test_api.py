"""What Python sees of a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import latlint
from latlint.cli import main

Model = Callable[[str], Path]


def test_a_report_says_whether_it_failed_and_what_the_command_line_prints(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = str(model("mobilenet_v2.tflite"))
    slow = latlint.Settings(targets=("pixel-4/gpu",), budgets=(latlint.Budget(1.0),))
    report = latlint.check(path, slow)
    assert report.failed()
    assert main(["check", path, "--no-config", "-t", "pixel-4/gpu", "-b", "1ms", "--format", "json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    own = json.loads(json.dumps(report.to_dict()))
    for finding in (*printed["findings"], *own["findings"]):
        del finding["message"]  # which names where the budget was written
    assert own == printed
    fast = latlint.check(path, latlint.Settings(targets=("pixel-4/gpu",), budgets=(latlint.Budget(1000.0),)))
    assert not fast.failed() and fast.failed("note")


def test_a_file_that_cannot_be_read_fails_a_report(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"x")
    assert latlint.check(tmp_path / "m.tflite", latlint.Settings()).failed("error")


def test_a_finding_says_where_its_rule_is_explained(model: Model) -> None:
    settings = latlint.Settings(targets=("pixel-4/gpu",), budgets=(latlint.Budget(1.0),))
    report = latlint.check(model("mobilenet_v2.tflite"), settings)
    assert report.findings
    for finding in report.findings:
        assert finding.help_uri == f"docs/rules/{finding.code}.md"
        assert (Path(__file__).parents[1] / finding.help_uri).is_file()


def test_an_error_says_which_file_it_is_about() -> None:
    assert str(latlint.LatlintError("is empty", path="m.tflite")) == "m.tflite: is empty"
    with pytest.raises(latlint.LatlintError, match=r"^none\.tflite: no such file"):
        latlint.predict("none.tflite", "pixel-4/gpu")


class TestObjects:
    """Models that are not in a file."""

    def proto(self) -> Any:
        from onnx import TensorProto, helper

        x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8, 16, 16]) for name in "xy")
        weights = helper.make_tensor("w", TensorProto.FLOAT, [8, 8, 1, 1], [0.0] * 64)
        graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"], "conv")], "g", [x], [y], [weights])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])

    def test_all_ways_in_say_the_same(self, tmp_path: Path) -> None:
        model = self.proto()
        path = tmp_path / "m.onnx"
        path.write_bytes(model.SerializeToString())
        found = {
            each: latlint.predict(given, "pixel-4/gpu")[0]
            for each, given in (("path", path), ("text", str(path)), ("bytes", path.read_bytes()), ("proto", model))
        }
        assert len({(each.latency_ms, each.sha256, each.macs) for each in found.values()}) == 1
        assert [each.model for each in found.values()] == [str(path), str(path), "<bytes>", "<ModelProto>"]
        assert found["proto"].footprint is not None and found["proto"].footprint.parameters == 64

    def test_check_takes_them_too(self, tmp_path: Path) -> None:
        settings = latlint.Settings(root=tmp_path, targets="pixel-4/gpu", budgets=(latlint.Budget(max_ms=1e-6),))
        report = latlint.check([self.proto(), b"no model"], settings)
        assert report.failed()
        assert [(each.code, each.model) for each in report.findings if each.severity == "error"] == [
            ("LAT101", "<ModelProto 1>"),
            ("LAT001", "<bytes 2>"),
        ]
        assert latlint.check(self.proto(), settings).predictions[0].model == "<ModelProto>"
        assert "latlint-" not in json.dumps(report.to_dict()), "no name of a file that is gone"

    @pytest.mark.parametrize(
        ("given", "said"),
        [(42, "<int>: expected a path, bytes"), (b"", "<bytes>: the file is empty"), (b"x", "<bytes>: neither")],
    )
    def test_what_is_no_model_is_said(self, given: object, said: str) -> None:
        with pytest.raises(latlint.LatlintError, match=said):
            latlint.predict(given, "pixel-4/gpu")

    def test_a_torch_module_is_exported(self) -> None:
        torch = pytest.importorskip("torch")
        module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU())
        (found,) = latlint.predict(module, "pixel-4/gpu", example_inputs=(torch.zeros(1, 3, 16, 16),))
        assert (found.model, found.macs) == ("<Sequential>", 8 * 14 * 14 * 27)
        with pytest.raises(latlint.LatlintError, match="needs example_inputs"):
            latlint.predict(module, "pixel-4/gpu")
