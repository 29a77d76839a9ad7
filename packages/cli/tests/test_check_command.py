"""`wasmlet check`: what is said of manifests, where, and with which exit code."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from check_runs import FINE, ODD, REFUSED, Checked, Json, pod, write

from wasmlet.__main__ import main

LAUGHS = b"kind: Pod\na0: &a0 [x]\n" + b"".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n".encode()
    for level in range(1, 10)
)


@pytest.mark.usefixtures("folder")
def test_a_pod_that_runs_is_no_news(capsys: pytest.CaptureFixture[str]) -> None:
    checked = Checked(capsys, write("a.yaml", pod(FINE)))
    assert (checked.exit_code, checked.lines) == (0, ["1 pod: all would run"])


@pytest.mark.usefixtures("folder")
def test_a_misspelt_annotation_of_ours_would_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    misspelt = pod(FINE)
    misspelt["metadata"]["annotations"] = {
        "wasmlet.dev/allowed-hosts": "a.example, http://b",
        "wasmlet.dev/alowed-hosts": "a.example",
        "example.com/allowed-hosts": "a.example",
    }
    checked = Checked(capsys, write("a.yaml", misspelt))
    assert checked.exit_code == 1
    reason = "'a.example, http://b' is not HOST, HOST:PORT or HOST:*, separated by commas"
    field = "metadata.annotations['wasmlet.dev/allowed-hosts']"
    unknown = "metadata.annotations['wasmlet.dev/alowed-hosts']"
    assert checked.unplaced[:-1] == [
        f"a.yaml: Pod/p {field}: refused: {reason}",
        f"a.yaml: Pod/p {unknown}: ignored: there is no such annotation",
    ]


@pytest.mark.usefixtures("folder")
def test_what_is_ignored_or_asked_of_the_node_is_told_and_refuses_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    spec = FINE | {
        "securityContext": {"fsGroup": 1},
        "volumes": [{"name": "v", "hostPath": {"path": "/srv"}}],
    }
    checked = Checked(capsys, write("a.yaml", pod(spec)))
    assert checked.exit_code == 0
    assert checked.unplaced == [
        "a.yaml: Pod/p spec.securityContext.fsGroup: ignored: a guest has no users or groups",
        (
            "a.yaml: Pod/p spec.volumes[0].hostPath.path: "
            "needs: a node that allows it (HOST_PATH_PREFIXES)"
        ),
        "1 pod: all would run; fields: 1 ignored, 1 for the node to allow",
    ]


TEMPLATED = [
    ("v1", "PodTemplate", "template."),
    ("v1", "ReplicationController", "spec.template."),
    ("apps/v1", "DaemonSet", "spec.template."),
    ("apps/v1", "Deployment", "spec.template."),
    ("apps/v1", "ReplicaSet", "spec.template."),
    ("apps/v1", "StatefulSet", "spec.template."),
    ("batch/v1", "Job", "spec.template."),
    ("batch/v1", "CronJob", "spec.jobTemplate.spec.template."),
]


@pytest.mark.parametrize(("version", "kind", "path"), TEMPLATED)
@pytest.mark.usefixtures("folder")
def test_templates_are_judged_as_the_pods_that_they_make(
    capsys: pytest.CaptureFixture[str], version: str, kind: str, path: str
) -> None:
    owner: Any = {"spec": ODD}
    for step in reversed(path.rstrip(".").split(".")):
        owner = {step: owner}
    owner |= {"apiVersion": version, "kind": kind, "metadata": {"name": "w"}}
    checked = Checked(capsys, write("a.yaml", owner))
    assert checked.exit_code == 1
    assert checked.unplaced[0] == f"a.yaml: {kind}/w {path}{REFUSED}"
    assert checked.lines[-1] == "1 pod: 1 would not run; fields: 1 refused"


@pytest.mark.usefixtures("folder")
def test_the_same_kind_of_another_group_is_skipped(capsys: pytest.CaptureFixture[str]) -> None:
    job = {"apiVersion": "batch.example/v1", "kind": "Job", "metadata": {"generateName": "j-"}}
    checked = Checked(capsys, write("a.yaml", job))
    assert checked.exit_code == 0
    assert checked.unplaced == [
        "a.yaml: Job/j-: skipped: it has no pods",
        "no pods; 1 object without pods",
    ]


@pytest.mark.parametrize("items", [[pod(FINE, "p"), pod(ODD, "q")]])
@pytest.mark.parametrize("kind", ["List", "PodList"])
@pytest.mark.usefixtures("folder")
def test_each_item_of_a_list_is_judged(
    capsys: pytest.CaptureFixture[str], kind: str, items: list[Json]
) -> None:
    if kind == "PodList":
        items = [{key: item[key] for key in ("metadata", "spec")} for item in items]
    checked = Checked(capsys, write("a.yaml", {"apiVersion": "v1", "kind": kind, "items": items}))
    assert checked.exit_code == 1
    assert checked.unplaced[0] == f"a.yaml: Pod/q {REFUSED}"
    assert checked.lines[-1].startswith("2 pods: 1 would not run")


@pytest.mark.usefixtures("folder")
def test_each_document_of_each_file_is_judged_and_empty_ones_count(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = f"{yaml.safe_dump(pod(FINE))}---\n---\n{yaml.safe_dump(pod(ODD))}"
    Path("a.yaml").write_text(text, encoding="utf-8")
    checked = Checked(capsys, "-o", "json", "a.yaml", write("b.yaml", pod(ODD, "q")))
    found = json.loads("\n".join(checked.lines))["findings"]
    assert [(each["file"], each["document"]) for each in found] == [("a.yaml", 3), ("b.yaml", 1)]


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        (None, "spec: refused: it is required"),
        ({}, "spec.containers: refused: at least one is required"),
        ({"containers": "x"}, "spec.containers: refused: at least one is required"),
        (FINE | {"imagine": 1}, "spec.imagine: refused: this field is not known"),
        (
            {"containers": [{"name": "a", "resources": {"requests": {"cpu": "lots"}}}]},
            "spec.containers[0].resources.requests.cpu: refused: 'lots' is no quantity",
        ),
        (FINE | {"overhead": {"cpu": "x"}}, "spec.overhead.cpu: refused: 'x' is no quantity"),
        (FINE | {True: 1}, "spec.True: refused: this field is not known"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_pod_that_no_node_would_run_is_said_to_be_so(
    capsys: pytest.CaptureFixture[str], spec: Any, line: str
) -> None:
    checked = Checked(capsys, write("a.yaml", pod(spec)))
    assert checked.exit_code == 1
    assert checked.unplaced[0] == f"a.yaml: Pod/p {line}"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a: b\n  c: d\n", "line 2, column 4: mapping values are not allowed here"),
        (b"\xff\xfe\xfa", "byte 0 is no UTF-8"),
        (b"- a\n", "document 1: it is no Kubernetes object: it has no kind"),
        (b"metadata: {}\n", "document 1: it is no Kubernetes object: it has no kind"),
        (b"[" * 3000, "it is nested too deeply"),
        (b"kind: *a\n", "line 1, column 7: found undefined alias 'a'"),
        (b"kind: Pod\nspec: &a {b: *a}\n", "it is nested too deeply"),
        (b"kind: Pod\nspec: 2026-02-31\n", "day is out of range for month"),
        (LAUGHS, "it has more than 1000000 values"),
        (
            b'{"kind": "Pod"\n',
            "line 2, column 1: expected ',' or '}', but got '<stream end>'",
        ),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_cannot_be_read_is_told_with_its_place_and_the_rest_is_checked(
    capsys: pytest.CaptureFixture[str], content: bytes, problem: str
) -> None:
    Path("bad.yaml").write_bytes(content)
    checked = Checked(capsys, "bad.yaml", write("good.yaml", pod(ODD)))
    assert checked.exit_code == 2
    assert checked.errors == [f"wasmlet: bad.yaml: {problem}"]
    assert checked.unplaced[0] == f"good.yaml: Pod/p {REFUSED}"
    assert checked.lines[-1].endswith("; 1 unreadable")


@pytest.mark.usefixtures("folder")
def test_documents_before_a_mistake_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.yaml").write_text(f"{yaml.safe_dump(pod(ODD))}---\na: [\n", encoding="utf-8")
    checked = Checked(capsys, "a.yaml")
    assert checked.exit_code == 2
    assert checked.unplaced[0] == f"a.yaml: Pod/p {REFUSED}"


@pytest.mark.parametrize(
    ("name", "problem"), [("none.yaml", "No such file or directory"), (".", "Is a directory")]
)
@pytest.mark.usefixtures("folder")
def test_a_file_that_is_none_is_told(
    capsys: pytest.CaptureFixture[str], name: str, problem: str
) -> None:
    checked = Checked(capsys, name)
    assert (checked.exit_code, checked.errors) == (2, [f"wasmlet: {name}: {problem}"])


def test_stdin_is_read_and_json_may_hold_tabs() -> None:
    text = json.dumps(pod(ODD), indent="\t")
    command = [sys.executable, "-m", "wasmlet", "check", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == f"stdin:14: Pod/p {REFUSED}"


@pytest.mark.usefixtures("folder")
def test_programs_read_the_same_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    checked = Checked(capsys, "-o", "json", write("a.yaml", pod(ODD), {"kind": "Secret"}))
    answer = json.loads("\n".join(checked.lines))
    assert answer["findings"][0] == {
        "file": "a.yaml",
        "line": 9,
        "document": 1,
        "kind": "Pod",
        "name": "p",
        "field": "spec.hostPID",
        "verdict": "refused",
        "reason": "a guest sees no processes",
    }
    assert [each["verdict"] for each in answer["findings"]] == ["refused", "skipped"]
    assert (answer["summary"]["pods"], answer["summary"]["refused_pods"]) == (1, 1)


@pytest.mark.parametrize("arguments", [[], ["-o", "xml", "a.yaml"], ["--what", "a.yaml"]])
def test_a_wrong_usage_ends_with_two(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["check", *arguments])
    assert ended.value.code == 2


@pytest.mark.parametrize(
    "file", sorted((Path(__file__).parents[3] / "examples").glob("*/*.yaml")), ids=lambda f: f.name
)
def test_our_own_examples_run(capsys: pytest.CaptureFixture[str], file: Path) -> None:
    assert Checked(capsys, file).exit_code == 0
