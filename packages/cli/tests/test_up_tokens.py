"""The tokens that `wasmlet up` gives its services: by whose roles, and renewed when."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from contract.subjects import Role
from kubekit.client import Api, api_client
from kubekit.testing import (
    RecordedServer,
    Reply,
    json_reply,
    recorded_server,
    status_reply,
    until,
    write_kubeconfig,
)
from wasmlet.roles import roles
from wasmlet.up.joining import JOINING, NoTokensError, ServiceTokens

HOUR = 3600.0
FOUND, NOT_FOUND = json_reply({}), status_reply(404, "NotFound")


def token(text: str, lifetime_s: float = 24 * HOUR) -> Reply:
    return json_reply({"spec": {"expirationSeconds": int(lifetime_s)}, "status": {"token": text}})


def binding(namespace: str) -> Reply:
    return json_reply({"subjects": [{"kind": "ServiceAccount", "namespace": namespace}]})


@pytest.fixture
async def server() -> AsyncIterator[RecordedServer]:
    async with recorded_server() as server:
        server.will("PATCH", *[FOUND] * len(list(roles())))
        yield server


@pytest.fixture
async def api(server: RecordedServer, tmp_path: Path) -> AsyncIterator[Api]:
    async with api_client(write_kubeconfig(tmp_path / "config", server.url), user_agent="t") as api:
        yield api


def tokens_of(api: Api, folder: Path, **options: Any) -> ServiceTokens:
    return ServiceTokens(api, folder / "config", folder, **options)


@pytest.mark.parametrize("before", [NOT_FOUND, binding("wasmlet-system")])
async def test_roles_of_nobody_else_are_applied(
    server: RecordedServer, api: Api, tmp_path: Path, before: Reply
) -> None:
    server.will("get", NOT_FOUND, before)
    server.will("POST", *[token("t")] * len(JOINING))
    assert set(await tokens_of(api, tmp_path).issue()) == set(JOINING)
    assert len(server.of("PATCH")) == len(list(roles()))


async def test_roles_of_a_chart_stay_as_they_are_and_its_accounts_serve(
    server: RecordedServer, api: Api, tmp_path: Path
) -> None:
    """One that confines its reconciler would be given the right to read every Secret."""
    server.will("get", FOUND)
    server.will("POST", *[token("t")] * len(JOINING))
    assert set(await tokens_of(api, tmp_path).issue()) == set(JOINING)
    assert not server.of("PATCH")


async def test_roles_of_a_chart_elsewhere_are_not_taken_from_it(
    server: RecordedServer, api: Api, tmp_path: Path
) -> None:
    server.will("get", NOT_FOUND, binding("elsewhere"))
    with pytest.raises(NoTokensError, match="serve an installation in elsewhere"):
        await tokens_of(api, tmp_path).issue()
    assert not server.of("PATCH") + server.of("POST")


async def test_who_may_not_make_accounts_is_told(
    server: RecordedServer, api: Api, tmp_path: Path
) -> None:
    server.will("get", NOT_FOUND, NOT_FOUND)
    server.will("POST", status_reply(403, "Forbidden"))
    with pytest.raises(NoTokensError, match="may not create service accounts"):
        await tokens_of(api, tmp_path).issue()


@pytest.mark.parametrize("before", [[], [NOT_FOUND]])
async def test_who_may_not_look_for_an_installation_is_told_that(
    server: RecordedServer, api: Api, tmp_path: Path, before: list[Reply]
) -> None:
    """The roles may be a chart's: they are not applied over it."""
    server.will("get", *before, status_reply(403, "Forbidden"))
    with pytest.raises(NoTokensError, match="may not see whether"):
        await tokens_of(api, tmp_path).issue()
    assert not server.of("PATCH") + server.of("POST")


async def test_roles_that_serve_a_user_are_told_by_its_name(
    server: RecordedServer, api: Api, tmp_path: Path
) -> None:
    server.will("get", NOT_FOUND, json_reply({"subjects": [{"kind": "User", "name": "ann"}]}))
    with pytest.raises(NoTokensError, match="serve the User ann"):
        await tokens_of(api, tmp_path).issue()


async def test_a_token_is_renewed_by_the_life_that_the_cluster_gave_it(
    server: RecordedServer, api: Api, tmp_path: Path
) -> None:
    """It has a shorter limit than what is asked for; and time goes on while a machine sleeps."""
    now, looks = 0.0, 0

    def clock() -> float:
        nonlocal looks
        looks += 1
        return now

    server.will("get", FOUND)
    server.will("POST", *[token("first", HOUR)] * len(JOINING), *[token("second")] * len(JOINING))
    tokens = tokens_of(api, tmp_path, clock=clock, look_every_s=0.001)
    await tokens.issue()
    file = tmp_path / f"{Role.LOG_SERVER}.token"
    keeping = asyncio.create_task(tokens.keep_fresh())
    try:
        now, seen = 0.5 * HOUR, looks
        await until(lambda: looks > seen + 3)
        assert file.read_text() == "first"
        now = 0.7 * HOUR
        await until(lambda: file.read_text() == "second")
    finally:
        keeping.cancel()
