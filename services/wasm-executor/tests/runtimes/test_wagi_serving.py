"""WASI 0.1 modules as CGI handlers, in a container like any other."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import msgspec
import pytest
from http_rig import Served, serving
from keeper_rig import KeeperProcess, Supervisor, is_alive, only_child, wait_until
from process_tree import children

from wasm_executor.container.plan import HttpPlan, Route
from wasm_executor.keeper.errors import StartFailedError

FUNCTIONS = (
    *("echo", "status", "moved", "plain", "leave", "trap", "loop", "large", "pause", "ask"),
    "hold",
)  # fmt: skip
ROUTES = (
    Route(route="/..."),
    *(Route(route=f"/{name}", entrypoint=name) for name in FUNCTIONS),
    Route(route="/args", argv="program ${SCRIPT_NAME} -- ${ARGS}"),
)


@asynccontextmanager
async def cgi(supervisor: Supervisor, http: HttpPlan | None = None) -> AsyncIterator[Served]:
    plan = msgspec.structs.replace(http or HttpPlan(), routes=ROUTES)
    async with serving(supervisor, "cgi", plan, runtime="wagi", env={"POD": "its own"}) as served:
        yield served


async def test_a_request_is_told_by_arguments_and_environment(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor, cgi(supervisor) as served:
        with served.client() as client:
            client.send(
                "GET /a/b%20c?x=1&y=2 HTTP/1.1\r\nHost: web.example:81\r\nX-Own: yes\r\n"
                "Authorization: secret\r\nProxy: evil\r\n\r\n"
            )
            answer = client.answer()
        assert (answer.status, answer.headers["content-type"]) == (200, "text/plain")
        lines = answer.body.decode().splitlines()
        assert lines[:3] == ["/a/b%20c", "x=1", "y=2"]
        told = dict(line.split("=", 1) for line in lines[3:])
        assert (
            told.items()
            >= {
                "POD": "its own",
                "REQUEST_METHOD": "GET",
                "PATH_INFO": "/a/b c",
                "X_RAW_PATH_INFO": "/a/b%20c",
                "SCRIPT_NAME": "",
                "X_MATCHED_ROUTE": "/...",
                "QUERY_STRING": "x=1&y=2",
                "SERVER_NAME": "web.example",
                "SERVER_PORT": "81",
                "SERVER_PROTOCOL": "HTTP/1.1",
                "GATEWAY_INTERFACE": "CGI/1.1",
                "REMOTE_ADDR": "127.0.0.1",
                "CONTENT_LENGTH": "0",
                "HTTP_X_OWN": "yes",
                "X_FULL_URL": "http://web.example:81/a/b%20c?x=1&y=2",
            }.items()
        )
        assert not {"HTTP_AUTHORIZATION", "HTTP_PROXY", "HTTP_CONNECTION"} & told.keys()
        lines = served.get("/args?a&b").body.decode().splitlines()
        assert lines[:5] == ["program", "/args", "--", "a", "b"]


async def test_its_output_is_the_answer(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor, cgi(supervisor) as served:
        status = served.get("/status")
        assert (status.status, status.headers["x-own"], status.body) == (404, "yes", b"not here\n")
        assert served.get("/own").status == 404
        assert served.get("/own").headers["x-own"] == "yes"  # which the module's `_routes` named
        moved = served.get("/moved")
        assert (moved.status, moved.headers["location"]) == (302, "/elsewhere")
        assert served.get("/large").body == b"a" * (4 << 20)
        with served.client() as client:
            client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n")
            client.send(b"b" * (1 << 20))
            assert client.answer().body == b"b" * (1 << 20)
            client.send("POST /pause HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            assert client.line().startswith("HTTP/1.1 200")
            while client.line() != "line\n":
                pass  # what it has written is seen while it waits for the body's end
            client.send("3\r\nend\r\n0\r\n\r\n")
            assert [client.line() for _ in range(5)] == [
                "\r\n",
                "3\r\n",
                "end\r\n",
                "0\r\n",
                "\r\n",
            ]


async def test_what_goes_wrong_is_the_requests_alone(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor, cgi(supervisor, HttpPlan(timeout_s=1)) as served:
        assert served.get("/moved").status == 302
        workers = children(served.container.pid)
        statuses = {name: served.get(f"/{name}").status for name in ("plain", "leave", "trap")}
        assert statuses == {"plain": 500, "leave": 500, "trap": 500}
        assert served.get("/loop").status == 504
        assert served.get("/nul/%00").status == 400
        assert served.get("/moved").status == 302
        assert children(served.container.pid) == workers  # no worker ended with one of them
        await supervisor.client.signal(served.container.key, signal.SIGTERM)
        assert (await supervisor.next_exit()).code == 0
        said = served.container.content("stderr")
        assert "request failed: GET /leave: it ended with exit code 3" in said
        assert "trap: " in said
        assert "unreachable" in said


async def test_paths_without_a_route_are_not_found(keeper: KeeperProcess) -> None:
    plan = HttpPlan(routes=(Route(route="/only", entrypoint="moved"),))
    async with (
        keeper.supervise() as supervisor,
        serving(supervisor, "cgi", plan, runtime="wagi") as served,
    ):
        assert (served.get("/only").status, served.get("/only/own").status) == (302, 404)
        assert served.get("/other").status == 404


async def test_what_is_no_cgi_module_does_not_start(keeper: KeeperProcess) -> None:
    lacking = HttpPlan(routes=(Route(route="/", entrypoint="no_such_function"),))
    refused = {"http": (None, "this is a component"), "cgi": (lacking, "`no_such_function`")}
    async with keeper.supervise() as supervisor:
        for guest, (plan, problem) in refused.items():
            with pytest.raises(StartFailedError, match=problem):
                async with serving(supervisor, guest, plan, runtime="wagi"):
                    pass


async def test_a_handler_asks_allowed_hosts_alone(keeper: KeeperProcess) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"{self.path} {self.headers['x-asked']}".encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with HTTPServer(("127.0.0.1", 0), Other) as other:
        Thread(target=other.serve_forever, daemon=True).start()
        host = f"127.0.0.1:{other.server_port}"
        plan = HttpPlan(allowed_hosts=(host,), node_hosts=(host,))
        async with keeper.supervise() as supervisor:
            async with cgi(supervisor, plan) as served:
                assert served.get(f"/ask?http://{host}/path").body == b"/path by a guest"
                assert served.get("/ask?http://127.0.0.1:9/").body == b"refused: 7\n"
                assert served.get("/ask?nonsense").body == b"refused: :\n"
            async with cgi(supervisor) as served:
                assert served.get(f"/ask?http://{host}/path").body == b"refused: 7\n"
        other.shutdown()


async def test_processes_end_with_their_container(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor, cgi(supervisor) as served:
        worker = only_child(served.container.pid)
        with served.client() as client:
            client.send("GET /loop HTTP/1.1\r\nHost: a\r\n\r\n")
            handler = only_child(worker)
            await supervisor.client.signal(served.container.key, signal.SIGKILL)
            assert (await supervisor.next_exit()).code == 137
        wait_until(lambda: not is_alive(handler))
