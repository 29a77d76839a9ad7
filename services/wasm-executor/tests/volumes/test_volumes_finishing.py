"""Threads that a cancelled task waits for, and for how long."""

import asyncio
import threading

import pytest

from wasm_executor.volumes import finishing
from wasm_executor.volumes.finishing import finished


async def test_a_thread_is_waited_for_however_often_its_task_is_cancelled() -> None:
    begun, go_on, through = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(30)
        through.set()

    working = asyncio.ensure_future(finished(work))
    await asyncio.to_thread(begun.wait, 30)
    for _ in range(3):
        working.cancel()
        await asyncio.sleep(0)
    assert not working.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert through.is_set()


async def test_a_thread_that_hangs_is_left_behind_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(finishing, "PATIENCE_S", 0.05)
    begun, go_on = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(30)

    working = asyncio.ensure_future(finished(work))
    await asyncio.to_thread(begun.wait, 30)
    working.cancel()
    try:
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(working, 20)
        assert not go_on.is_set()
    finally:
        go_on.set()
