"""How long it is believed which handler a RuntimeClass stands for."""

from kubekit.client import connected
from kubekit.kubeconfig import Connection
from kubekit.testing import json_reply, recorded_server, status_reply
from pod_reconciler.runtimeclasses import NOTHING_REMEMBERED_S, REMEMBERED_S, RuntimeClasses


class _Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


async def test_a_class_that_nobody_might_see_is_asked_for_again_soon() -> None:
    clock = _Clock()
    async with (
        recorded_server() as server,
        connected(Connection(server=server.url), user_agent="wasmlet/test") as api,
    ):
        server.will("get", status_reply(403, "Forbidden", "no role"))
        server.will("get", status_reply(404, "NotFound", "none"), json_reply({"handler": "wasi"}))
        classes = RuntimeClasses(api, clock)
        assert [await classes.handler_of("w") for _ in range(3)] == ["", "", ""]
        assert len(server.asked) == 1
        for answer, asked in (("", 2), ("wasi", 3)):
            clock.now_s += NOTHING_REMEMBERED_S
            assert await classes.handler_of("w") == answer
            assert len(server.asked) == asked
        clock.now_s += REMEMBERED_S - 1
        assert await classes.handler_of("w") == "wasi"
        assert len(server.asked) == 3
