"""Bodies through a handler: as they come, whole, in constant memory, with their trailers."""

import threading

import pytest
from http_rig import Client, serving
from keeper_rig import KeeperProcess, status_field
from process_tree import children

MEBIBYTE = 1024 * 1024


async def test_a_body_is_passed_on_while_it_comes_and_its_trailers_after_it(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as supervisor, serving(supervisor) as served:
        with served.client() as client:
            client.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            client.send("5\r\nfirst\r\n")
            assert client.line().split()[1] == "200"
            while client.line() != "5\r\n":
                pass
            assert client.line() == "first\r\n"
            client.send("6\r\nsecond\r\n0\r\nX-Sum: 11\r\n\r\n")
            rest = [client.line() for _ in range(5)]
            assert rest == ["6\r\n", "second\r\n", "0\r\n", "x-sum: 11\r\n", "\r\n"]


async def test_what_a_handler_splices_goes_out_while_it_waits_for_the_rest(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as supervisor, serving(supervisor) as served:
        with served.client() as client:
            client.send("POST /pipe HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            client.send("5\r\nfirst\r\n")
            while client.line() != "5\r\n":
                pass
            assert client.line() == "first\r\n"
            client.send("6\r\nsecond\r\n0\r\n\r\n")
            assert "".join(client.line() for _ in range(4)) == "6\r\nsecond\r\n0\r\n\r\n"


async def test_a_client_that_expects_continue_is_told_when_its_body_is_read(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as supervisor, serving(supervisor) as served:
        head = "HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        with served.client() as client:
            client.send(f"POST /echo {head}")
            assert client.line() == "HTTP/1.1 100 Continue\r\n"
            assert client.line() == "\r\n"
            client.send("abc")
            assert client.answer().body == b"abc"
        with served.client() as client:  # nobody reads it: the answer comes without
            client.send(f"POST /hello {head}")
            assert client.answer().body == b"hello\n"


SLOW = (pytest.mark.slow, pytest.mark.timeout(300))


@pytest.mark.parametrize(
    ("path", "mebibytes"),
    [("/echo", 4), ("/pipe", 4), pytest.param("/echo", 100, marks=SLOW)],
)
async def test_a_large_body_takes_no_more_memory_than_a_small_one(
    keeper: KeeperProcess, path: str, mebibytes: int
) -> None:
    async with keeper.supervise() as supervisor, serving(supervisor) as served:
        assert served.get("/hello").status == 200
        (worker,) = children(served.container.pid)
        before = int(status_field(worker, "VmRSS").split()[0])
        with served.client() as client:
            sender = threading.Thread(target=send_chunks, args=(client, path, mebibytes))
            sender.start()
            answer = client.answer()
            sender.join()
        assert answer.body == b"0123456789abcdef" * (mebibytes * MEBIBYTE // 16)
        grown = int(status_field(worker, "VmHWM").split()[0]) - before
        assert grown < 16 * 1024


def send_chunks(client: Client, path: str, mebibytes: int) -> None:
    client.send(f"POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"100000\r\n" + b"0123456789abcdef" * (MEBIBYTE // 16) + b"\r\n"
    for _ in range(mebibytes):
        client.send(chunk)
    client.send("0\r\n\r\n")
