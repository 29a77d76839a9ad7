"""The keeper's own loop and its restarts: no server, no process."""

import os
from collections.abc import Callable

import pytest

from wasm_executor.keeper.children import STABLE_AFTER_S, BackOff
from wasm_executor.keeper.loop import EventLoop


def readable() -> int:
    """A descriptor with one byte to read."""
    read_end, write_end = os.pipe()
    os.write(write_end, b"x")
    os.close(write_end)
    return read_end


def test_new_descriptor_with_the_number_of_a_ready_one_is_not_called() -> None:
    loop = EventLoop()
    first, second = readable(), readable()
    called: list[str] = []

    def replace_the_other(mine: int, other: int) -> Callable[[], None]:
        def act() -> None:
            called.append("ready")
            for fd in (mine, other):
                loop.remove(fd)
                os.close(fd)
            empty, _ = os.pipe()
            os.dup2(empty, other)
            loop.add(other, lambda: called.append("not ready"))
            loop.call_later(0, loop.stop)

        return act

    loop.add(first, replace_the_other(first, second))
    loop.add(second, replace_the_other(second, first))
    loop.run()
    assert called == ["ready"]


def test_failing_callback_ends_its_own_descriptor_only(
    capfd: pytest.CaptureFixture[str],
) -> None:
    loop = EventLoop()
    bad, good = readable(), readable()

    def fail() -> None:
        raise RuntimeError("a bug")

    loop.add(bad, fail, on_failed=lambda: loop.remove(bad))
    loop.add(good, lambda: loop.call_later(0, loop.stop))
    loop.call_later(0, fail)
    loop.run()
    assert capfd.readouterr().err.count("a bug") >= 2


def test_timers_run_in_their_order() -> None:
    loop = EventLoop()
    order: list[int] = []
    loop.call_later(0.02, loop.stop)
    loop.call_later(0.01, lambda: order.append(2))
    loop.call_later(0.0, lambda: order.append(1))
    loop.run()
    assert order == [1, 2]


def test_restarts_slow_down_while_a_service_fails_and_not_once_it_held() -> None:
    back_off = BackOff(max_s=0.3)
    assert [back_off.after(0.0) for _ in range(5)] == [0.05, 0.1, 0.2, 0.3, 0.3]
    assert back_off.after(STABLE_AFTER_S) == 0.05
