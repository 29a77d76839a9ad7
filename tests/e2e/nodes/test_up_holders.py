"""What `wasmlet up` says of a node's name that the API server shows as another executor's."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from e2e.api import Api
from e2e.expectations import eventually

from contract.ids import NodeName
from controlplane import ControlPlane
from kubekit.client import api_client
from wasmlet.up.readiness import await_nodes_ready

NODE = NodeName("claimed")
PATH = f"/api/v1/nodes/{NODE}"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
OWN, OTHER = "own-id", "other-id"
SAID = f"node {NODE} is held by another executor: choose another --node-name"
LOOKS = 5


@pytest.fixture
def renew(api: Api) -> Iterator[Callable[[], None]]:
    """The Lease of a node, renewed at each call."""
    name = {"name": NODE, "namespace": "kube-node-lease"}
    api.create(LEASES, {"metadata": name, "spec": {"renewTime": _time(0)}})
    seconds = iter(range(1, 60))

    def once() -> None:
        api.patch(f"{LEASES}/{NODE}", {"spec": {"renewTime": _time(next(seconds))}})

    yield once
    api.delete(f"{LEASES}/{NODE}")


@pytest.fixture
def hold(api: Api) -> Iterator[Callable[..., None]]:
    """A Node whose name an incarnation holds, or has given back."""

    def create(holder: str, *, released: bool = False) -> None:
        annotations = {"wasmlet.dev/incarnation": holder}
        if released:
            annotations["wasmlet.dev/released"] = holder
        metadata = {"name": NODE, "annotations": annotations}
        api.create("/api/v1/nodes", {"metadata": metadata})

    yield create
    api.delete(PATH)


class Listener:
    """What has been said, and how often the API server was asked meanwhile."""

    def __init__(self, plane: ControlPlane, data: Path) -> None:
        self.said: list[str] = []
        self.looks = 0
        self._plane = plane
        self._data = data

    async def listen(self) -> None:
        async with api_client(self._plane.admin_kubeconfig, user_agent="test") as api:
            async for _ in await_nodes_ready(api, [NODE], self._look, self.said.append):
                pass

    def _look(self, _: NodeName) -> Path:
        self.looks += 1
        return self._data


@pytest.fixture
def listener(control_plane: ControlPlane, tmp_path: Path) -> Listener:
    (tmp_path / "identity.json").write_text(f'{{"executor_id": "{OWN}", "start_count": 2}}')
    return Listener(control_plane, tmp_path)


async def heard(listener: Listener, renew: Callable[[], None]) -> list[str]:
    """What is said while a Lease is renewed three times."""
    listening = asyncio.create_task(listener.listen())
    for _ in range(3):
        looked = listener.looks
        await asyncio.to_thread(eventually, lambda: listener.looks >= looked + LOOKS)  # noqa: B023 - awaited here
        await asyncio.to_thread(renew)
    looked = listener.looks
    await asyncio.to_thread(eventually, lambda: listener.looks >= looked + LOOKS)
    listening.cancel()
    with suppress(asyncio.CancelledError):
        await listening
    return listener.said


async def test_a_living_holder_is_told_of_once(
    hold: Callable[..., None], renew: Callable[[], None], listener: Listener
) -> None:
    hold(f"{OTHER}/1")
    assert await heard(listener, renew) == [SAID]


async def test_a_silent_holder_is_waited_for(hold: Callable[..., None], listener: Listener) -> None:
    hold(f"{OTHER}/1")
    assert await heard(listener, lambda: None) == []


@pytest.mark.parametrize(("holder", "released"), [(f"{OWN}/1", False), (f"{OTHER}/1", True)])
async def test_an_earlier_life_of_ours_or_one_that_left_is_no_holder(
    hold: Callable[..., None],
    renew: Callable[[], None],
    listener: Listener,
    holder: str,
    released: bool,  # noqa: FBT001 - a parameter
) -> None:
    hold(holder, released=released)
    assert await heard(listener, renew) == []


def _time(second: int) -> str:
    return f"2026-01-01T00:00:{second:02}.000000Z"
