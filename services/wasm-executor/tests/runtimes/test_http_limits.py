"""What a handler's host refuses, ends and survives."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from http_rig import Client, serving
from keeper_rig import KeeperProcess, wait_until
from process_tree import children

from wasm_executor.container.plan import HttpPlan

HOST = "Host: a\r\n"
REFUSED = {
    "nonsense\r\n\r\n": 400,
    "GET / HTTP/1.1\r\n\r\n": 400,
    f"GET / HTTP/1.1\r\n{HOST}{HOST}\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n": 400,
    f"POST / HTTP/1.1\r\n{HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\n": 400,
    f"GET /hello HTTP/1.1\r\n{HOST}Expect: more\r\n\r\n": 417,
    f"GET /{'a' * 20_000} HTTP/1.1\r\n{HOST}\r\n": 414,
    f"GET / HTTP/1.1\r\n{HOST}" + "X: y\r\n" * 20_000: 431,
    f"GET / HTTP/1.1\r\n{HOST}X-Slow: ": 408,
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": 400,
    f"POST /echo HTTP/1.1\r\n{HOST}Content-Length: 9\r\n\r\n": 413,
    f"POST /echo HTTP/1.1\r\n{HOST}Content-Length: 9\r\nExpect: 100-continue\r\n\r\n": 413,
    f"POST /echo HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n9\r\ntoo large\r\n": 413,
}
PLAIN = {
    f"GET /quiet HTTP/1.1\r\n{HOST}\r\n": b"",
    f"GET /double HTTP/1.1\r\n{HOST}\r\n": b"hello\n",
    f"GET /hello HTTP/1.1\r\n{HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n": b"hello\n",
    "GET /hello HTTP/1.0\r\n\r\n": b"hello\n",
    f"POST /echo HTTP/1.1\r\n{HOST}Content-Length: 8\r\nConnection: close\r\n\r\nnot more": (
        b"not more"
    ),
}
"""What is answered all the same, though perhaps for the last time on its connection."""


async def test_what_is_no_request_is_refused_and_others_go_on(keeper: KeeperProcess) -> None:
    plan = HttpPlan(head_timeout_s=0.5, max_body_bytes=8)
    async with keeper.supervise() as supervisor, serving(supervisor, http=plan) as served:
        for request, status in REFUSED.items():
            with served.client() as client:
                client.send(request)
                assert client.answer().status == status, request[:60]
                assert client.ended()
        for request, body in PLAIN.items():
            with served.client() as client:
                client.send(request)
                assert client.answer().body == body, request
        assert served.get("/hello").status == 200
        wait_until(lambda: "GET /double: " in served.container.content("stderr"))


async def test_a_client_that_takes_no_answer_is_left_when_its_time_is_up(
    keeper: KeeperProcess,
) -> None:
    plan = HttpPlan(timeout_s=0.5)
    async with keeper.supervise() as supervisor, serving(supervisor, http=plan) as served:
        with served.client() as client:
            client.send(f"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {1 << 40}\r\n\r\n")
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                send_for_ever(client)
        assert served.get("/hello").status == 200


async def test_waiting_handlers_are_side_by_side_and_one_too_many_is_turned_away(
    keeper: KeeperProcess,
) -> None:
    plan = HttpPlan(concurrency=8)
    async with keeper.supervise() as supervisor, serving(supervisor, http=plan) as served:
        with ThreadPoolExecutor(9) as clients:
            answers = list(clients.map(served.get, ["/sleep"] * 9))
        statuses = sorted(each.status for each in answers)
        assert statuses == [200] * 8 + [503]
        turned_away = next(each for each in answers if each.status == 503)
        assert turned_away.headers["retry-after"] == "1"
        assert served.get("/hello").status == 200


async def test_a_handler_that_computes_for_ever_ends_with_504_and_the_next_is_served(
    keeper: KeeperProcess,
) -> None:
    plan = HttpPlan(timeout_s=0.5)
    async with keeper.supervise() as supervisor, serving(supervisor, http=plan) as served:
        before = children(served.container.pid)
        assert served.get("/loop").status == 504
        assert served.get("/hello").status == 200
        assert not set(before) & set(children(served.container.pid))
        wait_until(lambda: "computed past its request's time" in served.container.content("stderr"))


async def test_a_handler_that_waits_too_long_ends_alone(keeper: KeeperProcess) -> None:
    plan = HttpPlan(timeout_s=0.1)
    async with keeper.supervise() as supervisor, serving(supervisor, http=plan) as served:
        assert served.get("/nothing").status == 500
        before = children(served.container.pid)
        assert served.get("/sleep").status == 504
        with served.client() as client:  # its body never comes
            client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
            assert client.line().split()[1] in ("200", "504")
        assert children(served.container.pid) == before


async def test_a_killed_worker_is_replaced(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor, serving(supervisor) as served:
        wait_until(lambda: bool(children(served.container.pid)))
        (worker,) = children(served.container.pid)
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: children(served.container.pid) not in ([], [worker]))
        assert served.get("/hello").status == 200


def send_for_ever(client: Client) -> None:
    while True:
        client.send(bytes(64 * 1024))
