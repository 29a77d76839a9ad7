"""The field table against the API server's own description of a Pod: the two name the same."""

from collections.abc import Iterator
from typing import Any

import pytest
from e2e.api import Api

from podspec.fields import ANY_KEY, ITEM, TABLE, TREE, Node, segments

type Schema = dict[str, Any]

POD = "#/components/schemas/io.k8s.api.core.v1.Pod"
# Not of the user's: who made the object, and what a node says of it.
BESIDE_THE_TABLE = ("apiVersion", "kind", "status")
# What the next minor release brings (the newest client library knows it): decided already.
NEWER = frozenset(
    {"bindMountOptions", "defaultUser", "evictionResponders", "mode", "protocol", "user"}
)


class Description:
    """The OpenAPI document, which describes a type once and points to it."""

    def __init__(self, document: Schema) -> None:
        self._document = document

    def below(self, schema: Schema) -> dict[str, Schema]:
        """What lies directly below a value of this type, by the table's steps."""
        found = self._resolved(schema)
        if "items" in found:
            return {ITEM: found["items"]}
        if "additionalProperties" in found:
            return {ANY_KEY: found["additionalProperties"]}
        properties: dict[str, Schema] = found.get("properties", {})
        return properties

    def pod(self) -> dict[str, Schema]:
        fields = self.below({"$ref": POD})
        return {name: each for name, each in fields.items() if name not in BESIDE_THE_TABLE}

    def _resolved(self, schema: Schema) -> Schema:
        while (ref := schema.get("$ref") or schema.get("allOf", [{}])[0].get("$ref")) is not None:
            schema = self._document
            for step in ref.removeprefix("#/").split("/"):
                schema = schema[step]
        return schema


@pytest.fixture(scope="module")
def description(api: Api) -> Description:
    return Description(api.get("/openapi/v3/api/v1"))


def undecided(
    description: Description, below: dict[str, Schema], place: Node, path: str
) -> Iterator[str]:
    """The fields that no row decides about, at the highest place where that can be said."""
    for step, schema in below.items():
        child = place.child(step)
        where = f"{path}[]" if step == ITEM else f"{path}.{step}".removeprefix(".")
        if child is None:
            yield where
        elif child.row is None:
            deeper = description.below(schema)
            if not deeper:
                yield where
            yield from undecided(description, deeper, child, where)


def is_described(description: Description, path: str) -> bool:
    below = description.pod()
    for step in segments(path):
        schema = below.get(step, below.get(ANY_KEY))
        if schema is None:
            return False
        below = description.below(schema)
    return True


def test_the_table_decides_about_every_field_of_the_api_server(description: Description) -> None:
    assert list(undecided(description, description.pod(), TREE, "")) == []


def test_the_table_names_no_field_that_the_api_server_lacks(description: Description) -> None:
    lacking = [row.path for row in TABLE if not is_described(description, row.path)]
    assert {segments(path)[-1] for path in lacking} == NEWER, lacking


def test_the_walk_sees_what_lacks(description: Description) -> None:
    """A walk that finds nothing would let everything pass."""
    found = list(undecided(description, description.pod(), Node(below={"spec": Node()}), ""))
    assert "metadata" in found
    assert "spec.containers" in found
    assert not is_described(description, "spec.containers[].imagine")
