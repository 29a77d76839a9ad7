"""Ends guests that compute past their request's time: nothing else can stop them.

wasmtime cannot interrupt a guest here (epochs are off), so the worker ends: with 504 for the
request, where nothing was answered yet. Its other requests are lost with it, and a fresh worker
takes its place. The watch sleeps while no request is under way.
"""

import os
import threading
import time
from typing import Final

from wasm_executor.runtimes.wasihttp.exchange import Exchange
from wasm_executor.runtimes.wasihttp.saying import say

OVERDUE_CODE: Final = 124
"""As `timeout` has it."""
LEEWAY_S: Final = 0.5
"""A guest that waits ends by itself when its time is up, on a busy machine a little later."""
LOOK_S: Final = 0.5


class Watch:
    """The exchanges whose guests may be computing."""

    def __init__(self) -> None:
        self._under_way: dict[int, Exchange] = {}
        self._wanted = threading.Event()
        self._awake = False
        self._started = False

    def begin(self, exchange: Exchange) -> None:
        self._under_way[id(exchange)] = exchange
        if not self._awake:
            self._wake()

    def end(self, exchange: Exchange) -> None:
        del self._under_way[id(exchange)]

    def _wake(self) -> None:
        self._awake = True
        if not self._started:
            self._started = True
            threading.Thread(target=self._look_on, daemon=True).start()
        self._wanted.set()

    def _look_on(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            while self._under_way:
                self._look()
            self._awake = False
            if self._under_way:
                self._awake = True
                self._wanted.set()

    def _look(self) -> None:
        deadlines = [each.deadline for each in self._under_way.copy().values()]
        if not deadlines:
            return
        rest_s = min(deadlines) + LEEWAY_S - time.monotonic()
        if rest_s > 0:
            time.sleep(min(rest_s, LOOK_S))
            return
        for exchange in self._under_way.copy().values():
            if time.monotonic() >= exchange.deadline:
                exchange.answer_overdue()
        say("a handler computed past its request's time: its process ends")
        os._exit(OVERDUE_CODE)
