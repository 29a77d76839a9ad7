"""`wasmlet check` names the line of a field."""

import json
from pathlib import Path

import pytest
import yaml
from check_runs import ODD, REFUSED, Checked, pod

LINED = """\
# no field
apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec:
  template:
    metadata:
      annotations:
        wasmlet.dev/alowed-hosts: a.example  # field
    spec:
      <<: &odd
        hostPID: true  # field
      containers:
        - name: main
          image: i
          env:
            - name: A
            - name: B
              imagine: 1  # field
---
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c}]}}
  - apiVersion: v1
    kind: Pod
    metadata: {name: q}
    spec:  # field
  - apiVersion: v1  # field
    kind: Secret
"""


@pytest.mark.usefixtures("folder")
def test_the_number_behind_a_file_is_the_line_of_the_field(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("a.yaml").write_text(LINED, encoding="utf-8")
    marked = [
        number for number, line in enumerate(LINED.splitlines(), start=1) if "# field" in line
    ]
    told = Checked(capsys, "a.yaml").lines[:-1]
    assert sorted(int(line.split(":")[1]) for line in told) == marked
    assert f"a.yaml:12: Deployment/d spec.template.{REFUSED}" in told


@pytest.mark.parametrize("indent", ["\t", "  "])
@pytest.mark.usefixtures("folder")
def test_fields_of_json_have_lines_too(capsys: pytest.CaptureFixture[str], indent: str) -> None:
    text = json.dumps(pod(ODD), indent=indent)
    Path("a.json").write_text(text, encoding="utf-8")
    line = next(n for n, each in enumerate(text.splitlines(), start=1) if "hostPID" in each)
    assert Checked(capsys, "a.json").lines[0] == f"a.json:{line}: Pod/p {REFUSED}"


@pytest.mark.usefixtures("folder")
def test_a_field_of_json_that_is_no_yaml_is_told_without_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = json.dumps(pod(ODD, "\x7f"), ensure_ascii=False, indent=1)
    Path("a.json").write_text(text, encoding="utf-8")
    assert Checked(capsys, "a.json").lines[0] == f"a.json: Pod/\x7f {REFUSED}"


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML is built without libyaml")
@pytest.mark.usefixtures("folder")
def test_the_lines_of_a_large_list_are_found_by_the_faster_loader(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`kubectl get pods -A -o json` of a large cluster took a minute by the other."""
    text = json.dumps(pod(ODD), indent=1)
    Path("a.json").write_text(text, encoding="utf-8")
    monkeypatch.delattr(yaml.composer.Composer, "get_single_node")  # of the other
    line = next(n for n, each in enumerate(text.splitlines(), start=1) if "hostPID" in each)
    assert Checked(capsys, "a.json").lines[0] == f"a.json:{line}: Pod/p {REFUSED}"


@pytest.mark.usefixtures("folder")
def test_json_of_one_line_needs_no_second_reading(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("a.json").write_text(json.dumps(pod(ODD)) + "\n", encoding="utf-8")
    monkeypatch.delattr(yaml, "compose")
    assert Checked(capsys, "a.json").lines[0] == f"a.json:1: Pod/p {REFUSED}"
