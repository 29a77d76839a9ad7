"""Manifests with init containers: checked, found and planned like any other container."""

from pathlib import Path
from typing import Any

import pytest

from pod_reconciler.domain.manifest import manifest_of
from pod_reconciler.errors import ManifestError

FOLDER = Path("/manifests")


def document(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "main", "image": "file:main.wat"}], **spec},
    }


def test_a_module_of_an_init_container_lies_beside_the_manifest_too() -> None:
    made = manifest_of(
        document(initContainers=[{"name": "i", "image": "file:init.wat"}]), "p.yaml", FOLDER
    )
    assert made.pod["spec"]["initContainers"][0]["image"] == "file:/manifests/init.wat"
    assert made.pod["spec"]["containers"][0]["image"] == "file:/manifests/main.wat"


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (
            {"initContainers": [{"name": "../i", "image": "i"}]},
            "spec.initContainers[0].name: Invalid value: '../i'",
        ),
        (
            {"initContainers": [{"name": "main", "image": "i"}]},
            "spec.containers[0].name: Duplicate value: 'main'",
        ),
        ({"initContainers": [{"name": "i"}]}, "spec.initContainers[0].image: Required value"),
        ({"initContainers": "i"}, "Expected `array`, got `str`"),
        ({"initContainers": ["i"]}, "spec.initContainers[0]: it is no mapping"),
        (
            {"ephemeralContainers": [{"name": "e", "image": "i"}]},
            "spec.ephemeralContainers: Forbidden: they are added to pods that run",
        ),
        (
            {
                "containers": [
                    {
                        "name": "main",
                        "image": "i",
                        "livenessProbe": {"tcpSocket": {"port": 1}, "periodSeconds": -1},
                    }
                ]
            },
            "Expected `float` >= 0.0",
        ),
    ],
)
def test_what_no_api_server_would_take_is_told(spec: dict[str, Any], problem: str) -> None:
    with pytest.raises(ManifestError) as error:
        manifest_of(document(**spec), "p.yaml", FOLDER)
    assert problem in str(error.value)


def test_empty_text_is_as_good_as_absent_as_in_the_api() -> None:
    containers = [{"name": "main", "image": "i", "imagePullPolicy": "", "args": [""]}]
    made = manifest_of(document(restartPolicy="", containers=containers), "p.yaml", FOLDER)
    assert "restartPolicy" not in made.pod["spec"]
    assert made.pod["spec"]["containers"] == [{"name": "main", "image": "i", "args": [""]}]
