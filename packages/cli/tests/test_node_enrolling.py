"""`wasmlet node enrol` in a cluster, and in one whose roles are Helm's."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from contract.ids import NodeName
from kubekit.testing import RecordedServer, json_reply, recorded_server, status_reply
from wasmlet.errors import CommandLineError
from wasmlet.node.enrolling import EnrolOptions, enrol
from wasmlet.roles import OF_CERTIFICATES, path_of, roles

NODE = NodeName("edge")
NAMESPACE = "here"
MARK = f"/api/v1/namespaces/{NAMESPACE}/configmaps/wasmlet-installation"
ROLES = [path_of(each) for each in roles(OF_CERTIFICATES, NAMESPACE)]
FOUND, NOT_FOUND = json_reply({}), status_reply(404, "NotFound")
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: c
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
clusters: [{{name: c, cluster: {{server: "{url}"}}}}]
users: [{{name: u, user: {{token: t}}}}]
"""


@pytest.fixture
async def server() -> AsyncIterator[RecordedServer]:
    async with recorded_server() as server:
        server.will("PATCH", *[FOUND] * 9)
        server.will("POST", FOUND)
        yield server


@pytest.fixture
def options(server: RecordedServer, tmp_path: Path) -> EnrolOptions:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG.format(url=server.url))
    return EnrolOptions(
        node=NODE,
        kubeconfig=kubeconfig,
        nats_url="tls://nats.example:4222",
        nats_ca_file=None,
        namespace=NAMESPACE,
        hours=1,
    )


def written(server: RecordedServer) -> list[str]:
    return [asked.path for asked in server.asked if asked.method != "GET"]


async def test_without_a_chart_the_roles_are_applied(
    server: RecordedServer, options: EnrolOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    server.will("get", NOT_FOUND, NOT_FOUND)
    assert await enrol(options) == 0
    assert server.asked[0].path == MARK
    assert written(server)[:4] == ROLES
    assert "wasmlet node join -" in capsys.readouterr().err


async def test_what_the_chart_has_made_is_left_to_helm(
    server: RecordedServer, options: EnrolOptions
) -> None:
    server.will("get", *[FOUND] * (1 + len(ROLES)), NOT_FOUND)
    assert await enrol(options) == 0
    assert not set(written(server)) & set(ROLES)
    assert len(written(server)) == 3


async def test_a_chart_without_the_roles_is_upgraded_first(
    server: RecordedServer, options: EnrolOptions
) -> None:
    server.will("get", FOUND, FOUND, NOT_FOUND)
    with pytest.raises(CommandLineError, match="first `helm upgrade"):
        await enrol(options)
    assert written(server) == []


async def test_a_name_whose_node_is_there_is_told(
    server: RecordedServer, options: EnrolOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    server.will("get", NOT_FOUND, FOUND)
    assert await enrol(options) == 0
    assert "The Node edge is there" in capsys.readouterr().err


async def test_a_ca_that_is_no_text_is_told(options: EnrolOptions, tmp_path: Path) -> None:
    authority = tmp_path / "ca.der"
    authority.write_bytes(b"\x30\x82\xff")
    with pytest.raises(CommandLineError, match="a CA is no PEM"):
        await enrol(msgspec.structs.replace(options, nats_ca_file=authority))
