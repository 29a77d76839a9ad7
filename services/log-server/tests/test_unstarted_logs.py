"""Logs of pods that the executor does not know: refused at admission, or not planned yet."""

import json
from pathlib import Path

from log_server_world import world

from contract.errors import CommandError


def listed_pod(name: str, namespace: str = "default") -> bytes:
    metadata = {"name": name, "namespace": namespace, "uid": f"u-{namespace}-{name}"}
    spec = {"containers": [{"name": "c"}], "initContainers": [{"name": "init"}]}
    return json.dumps({"metadata": metadata, "spec": spec}).encode()


async def test_a_pod_that_only_the_reconciler_knows_is_not_available(tmp_path: Path) -> None:
    async with world(tmp_path) as here, here.admin() as client:
        here.peers.control.page = 2
        others = [listed_pod("p", "elsewhere"), b'{"metadata": 1}', listed_pod("q")]
        here.peers.control.pods = [*others, listed_pod("refused")]

        async def said(pod: str, container: str) -> tuple[int, str]:
            here.executor.refusals[container] = CommandError(404, f'pod "{pod}" does not exist')
            answer = await client.get(f"/containerLogs/default/{pod}/{container}?previous=true")
            return answer.status_code, answer.text

        waits = 'container "{}" in pod "refused" is not available'
        assert await said("refused", "c") == (400, waits.format("c"))
        assert await said("refused", "init") == (400, waits.format("init"))
        assert await said("refused", "d") == (404, 'container "d" not found in pod "refused"')
        assert await said("p", "c") == (404, 'pod "p" does not exist')
        here.peers.control.broken_from = 0
        assert await said("refused", "c") == (404, 'pod "refused" does not exist')
