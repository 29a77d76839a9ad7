"""The table as a whole: complete, without contradictions, and readable."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes.aio.client import models

from podspec.fields import TABLE, TREE, grow, rows_by_path, segments
from podspec.rows import Row, Verdict, honoured, refused

# Where a model's fields lie in a pod.
MODELS = {
    "V1ObjectMeta": "metadata",
    "V1PodSpec": "spec",
    "V1PodSecurityContext": "spec.securityContext",
    "V1PodOS": "spec.os",
    "V1Container": "spec.containers[]",
    "V1ContainerPort": "spec.containers[].ports[]",
    "V1ContainerResizePolicy": "spec.containers[].resizePolicy[]",
    "V1EnvVar": "spec.containers[].env[]",
    "V1EnvVarSource": "spec.containers[].env[].valueFrom",
    "V1ObjectFieldSelector": "spec.containers[].env[].valueFrom.fieldRef",
    "V1ResourceRequirements": "spec.containers[].resources",
    "V1SecurityContext": "spec.containers[].securityContext",
}


def api_fields() -> Iterator[str]:
    for model, prefix in MODELS.items():
        for name, field in getattr(models, model).model_fields.items():
            yield f"{prefix}.{field.serialization_alias or name}"


@pytest.mark.parametrize("path", sorted(api_fields()))
def test_every_field_that_kubernetes_knows_is_decided(path: str) -> None:
    place: Any = TREE
    for segment in segments(path):
        if place.row is not None:
            return
        place = place.child(segment)
        assert place is not None, f"{path} has no row"


def test_the_table_names_no_field_that_kubernetes_lacks() -> None:
    known = set(api_fields())
    for row in TABLE:
        owner = next(
            prefix
            for prefix in sorted(MODELS.values(), key=len, reverse=True)
            if row.path.startswith(f"{prefix}.")
        )
        first = re.split(r"[.\[]", row.path.removeprefix(f"{owner}."))[0]
        assert f"{owner}.{first}" in known, row.path


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.path)
def test_every_row_that_takes_something_away_says_why(row: Row) -> None:
    if row.verdict is not Verdict.HONOURED:
        assert row.note
    assert not row.note.endswith(".")
    assert not (row.pattern and row.verdict is not Verdict.HONOURED)
    assert not (row.defaults and row.verdict is Verdict.HONOURED)
    assert not (row.beside_kind and row.verdict is not Verdict.REFUSED)


def test_no_path_is_decided_twice() -> None:
    assert len(rows_by_path()) == len(TABLE)


def test_a_row_below_another_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="lies below"):
        grow((honoured("spec.a"), refused("spec.a.b", "no")))
    with pytest.raises(ValueError, match="twice"):
        grow((honoured("spec.a.b"), refused("spec.a", "no")))


def test_a_path_splits_into_steps() -> None:
    assert segments("a[].b['c.d/e'].*") == ("a", "[]", "b", "c.d/e", "*")
