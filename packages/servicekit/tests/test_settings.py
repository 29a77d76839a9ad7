"""Settings from the environment: each mistake is one clear line."""

from pathlib import Path

import pytest

from servicekit.errors import SettingsError
from servicekit.settings import Seconds, ServiceSettings, read_settings


class Sample(ServiceSettings, frozen=True, kw_only=True):
    node_name: str
    lease_s: Seconds = 40.0
    data_dir: Path = Path("/data")
    registries: tuple[str, ...] = ()


def test_values_become_their_types_and_other_variables_are_left_alone() -> None:
    settings = read_settings(
        Sample,
        {
            "HOME": "/root",
            "WASMLET_NODE_NAME": "n1",
            "WASMLET_LEASE_S": "1.5",
            "WASMLET_DATA_DIR": "/a folder",
            "WASMLET_REGISTRIES": "a:1, b:2,",
            "WASMLET_NATS_PASSWORD_FILE": "/run/p",
        },
    )
    assert settings == Sample(
        node_name="n1",
        lease_s=1.5,
        data_dir=Path("/a folder"),
        registries=("a:1", "b:2"),
        nats_password_file=Path("/run/p"),
    )


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({}, "WASMLET_NODE_NAME is not set"),
        ({"WASMLET_NODE_NAME": "n", "WASMLET_LEASE": "1"}, "unknown setting WASMLET_LEASE"),
        (
            {"WASMLET_NODE_NAME": "n", "WASMLET_LEASE_S": "-1"},
            "WASMLET_LEASE_S: Expected `float` > 0.0",
        ),
        (
            {"WASMLET_NODE_NAME": "n", "WASMLET_LEASE_S": "soon"},
            "WASMLET_LEASE_S: Expected `float`, got `str`",
        ),
        (
            {"WASMLET_NODE_NAME": "n", "WASMLET_ADMIN_PORT": "70000"},
            "WASMLET_ADMIN_PORT: Expected `int` <= 65535",
        ),
    ],
)
def test_a_mistake_is_one_clear_line(environ: dict[str, str], line: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_settings(Sample, environ)
    assert str(error.value) == line
