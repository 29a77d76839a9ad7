"""What an httpGet asks, byte for byte as kubelet 1.36's prober sent it to the same paths."""

import asyncio

import pytest
from scripted_http import HANG, ScriptedServer, response, serve

from contract.messages.health import HttpGet
from wasm_executor.checking.checks import check
from wasm_executor.checking.errors import NoRequestError
from wasm_executor.checking.finding import Finding
from wasm_executor.checking.request import PROBE_AGENT, request_for
from wasm_executor.domain.checks import Verdict

TIMEOUT_S = 10.0
SHORT_S = 0.1


async def ask(
    server: ScriptedServer, path: str = "/", *headers: tuple[str, str], timeout_s: float = TIMEOUT_S
) -> Finding:
    action = HttpGet(port=server.port, path=path, headers=headers)
    return await check(action, server.host, timeout_s)


async def head(server: ScriptedServer, path: str = "/", *headers: tuple[str, str]) -> list[str]:
    """What was asked last, by line; the port is shown as PORT."""
    await ask(server, path, *headers)
    text = server.heads[-1].decode().replace(f":{server.port}", ":PORT")
    return text.removesuffix("\r\n\r\n").split("\r\n")


async def test_plain_probe_sends_what_the_kubelet_sends(server: ScriptedServer) -> None:
    assert await head(server, "/healthz") == [
        "GET /healthz HTTP/1.1",
        "Host: 127.0.0.1:PORT",
        "User-Agent: kube-probe/1.36",
        "Accept: */*",
        "Connection: close",
    ]


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("ok?a=b&c", "/ok?a=b&c"),
        ("/ok?a b", "/ok?a b"),
        ("/a b", "/a%20b"),
        ("", "/"),
        ("/%zz", "/%25zz"),
        ("/ü?ü", "/%C3%BC?ü"),
        ("//x/y", "/y"),
        ("http://other/z", "/z"),
        ("/x#frag", "/x"),
        ("/a/../b", "/a/../b"),
        ("?q", "/?q"),
        ("/a%2Fb", "/a%2Fb"),
        ('/a"b', "/a%22b"),
        ("/a|b{}", "/a%7Cb%7B%7D"),
        ("1:x", "/1:x"),
        ("/a?b#c?d", "/a?b"),
        ("/\x7f", "/%7F"),
        ("/a\r\nX: y", "/a%0D%0AX:%20y"),
    ],
)
async def test_path_is_a_url_where_it_can_be_one(
    server: ScriptedServer, path: str, uri: str
) -> None:
    assert (await head(server, path))[0] == f"GET {uri} HTTP/1.1"


AGENT = "User-Agent: kube-probe/1.36"
ACCEPT = "Accept: */*"
CLOSE = "Connection: close"


@pytest.mark.parametrize(
    ("headers", "lines"),
    [
        ([("x-a", "1"), ("X-A", "2")], [AGENT, ACCEPT, "X-A: 1", "X-A: 2", CLOSE]),
        ([("Accept", "text/plain")], [AGENT, "Accept: text/plain", CLOSE]),
        ([("accept", "")], [AGENT, CLOSE]),
        ([("Accept", ""), ("Accept", "b")], [AGENT, CLOSE]),
        ([("User-Agent", "")], [ACCEPT, CLOSE]),
        ([("user-agent", "me")], ["User-Agent: me", ACCEPT, CLOSE]),
        ([("B", "2"), ("A", "1")], [AGENT, "A: 1", ACCEPT, "B: 2", CLOSE]),
        ([("X-E", "")], [AGENT, ACCEPT, "X-E: ", CLOSE]),
        ([("X-S", "  a  ")], [AGENT, ACCEPT, "X-S: a", CLOSE]),
        ([("x_y", "1")], [AGENT, ACCEPT, "X_y: 1", CLOSE]),
        ([("X-U", "ü")], [AGENT, ACCEPT, "X-U: ü", CLOSE]),
        ([("Content-Length", "5"), ("Trailer", "a")], [AGENT, ACCEPT, CLOSE]),
        ([("Transfer-Encoding", "chunked")], [AGENT, ACCEPT, CLOSE]),
        ([("Connection", "keep-alive")], [AGENT, ACCEPT, "Connection: keep-alive", CLOSE]),
        ([("Connection", "close")], [AGENT, ACCEPT, CLOSE]),
        (
            [("Upgrade", "websocket"), ("Connection", "Upgrade")],
            [AGENT, ACCEPT, "Connection: Upgrade", "Upgrade: websocket"],
        ),
    ],
)
async def test_own_headers_are_sent_as_go_sends_them(
    server: ScriptedServer, headers: list[tuple[str, str]], lines: list[str]
) -> None:
    assert (await head(server, "/", *headers))[2:] == lines


async def test_host_may_be_overridden_and_still_the_pod_is_asked(server: ScriptedServer) -> None:
    assert (await head(server, "/", ("host", "foo.test")))[1] == "Host: foo.test"
    assert (await head(server, "/", ("Host", "")))[1] == "Host: 127.0.0.1:PORT"


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (("X-B", "a\r\nX-C: 1"), 'net/http: invalid header field value for "X-B"'),
        (("User-Agent", "a\nb"), 'net/http: invalid header field value for "User-Agent"'),
        (("Host", "a\nb"), 'net/http: invalid header field value for "Host"'),
        (("Bad Name", "1"), 'net/http: invalid header field name "Bad Name"'),
    ],
)
async def test_header_cannot_smuggle_a_line(
    server: ScriptedServer, header: tuple[str, str], text: str
) -> None:
    finding = await ask(server, "/", header)
    assert finding.verdict is Verdict.FAILURE
    assert finding.output == f'Get "http://127.0.0.1:{server.port}/": {text}'
    assert server.heads == []


def test_host_that_is_none_makes_no_request() -> None:
    with pytest.raises(NoRequestError) as raised:
        request_for(HttpGet(port=80, path="/ok", host="bad host"), "10.0.0.1", PROBE_AGENT)
    assert raised.value.text == 'parse "http://bad%20host:80/ok": invalid URL escape "%20"'


async def test_redirect_within_the_host_is_followed(server: ScriptedServer) -> None:
    server.answer("/old", response("302 Found", "Location: new?x=1"))
    server.answer("/new", response("200 OK", body=b"here"))
    lines = await head(server, "/old", ("Host", "foo.test"), ("Authorization", "token"))
    assert lines == [
        "GET /new?x=1 HTTP/1.1",
        "Host: foo.test",
        "User-Agent: kube-probe/1.36",
        "Accept: */*",
        "Authorization: token",
        "Referer: http://127.0.0.1:PORT/old",
        "Connection: close",
    ]
    assert await ask(server, "/old") == Finding(verdict=Verdict.SUCCESS, output="here")


async def test_redirect_to_another_port_of_the_host_is_followed(server: ScriptedServer) -> None:
    async with serve("127.0.0.1") as other:
        server.answer("/", response("301 Moved", f"Location: http://127.0.0.1:{other.port}/there"))
        other.answer("/there", response("500 No"))
        finding = await ask(server, "/", ("Host", "foo.test"))
    assert finding.output == "HTTP probe failed with statuscode: 500"
    assert f"\r\nHost: 127.0.0.1:{other.port}\r\n".encode() in other.heads[0]


@pytest.mark.parametrize(
    "answer",
    [
        response("302 Found", "Location: http://example.test/x", body=b"away"),
        response("302 Found", "Location: http://localhost/x", body=b"away"),
        response("302 Found", body=b"away"),
        response("300 Multiple Choices", body=b"away"),
    ],
)
async def test_redirect_that_is_not_followed_is_a_success_with_a_warning(
    server: ScriptedServer, answer: bytes
) -> None:
    server.answer("/", answer)
    finding = await ask(server)
    assert finding.verdict is Verdict.SUCCESS
    assert finding.warning == "Probe terminated redirects, Response body: away"


async def test_redirects_end_after_ten(server: ScriptedServer) -> None:
    server.answer("/loop", response("302 Found", "Location: /loop"))
    finding = await ask(server, "/loop")
    assert finding.output == 'Get "/loop": stopped after 10 redirects'
    assert len(server.heads) == 10


async def test_redirect_that_leads_nowhere_is_a_failure_of_its_own_url(
    server: ScriptedServer,
) -> None:
    server.answer("/ftp", response("302 Found", "Location: ftp://127.0.0.1/x"))
    server.answer("/broken", response("302 Found", "Location: http://[::1/x"))
    assert (await ask(server, "/ftp")).output == (
        'Get "ftp://127.0.0.1/x": unsupported protocol scheme "ftp"'
    )
    assert (await ask(server, "/broken")).output.startswith(
        f'Get "http://127.0.0.1:{server.port}/broken": '
        'failed to parse Location header "http://[::1/x": '
    )


async def test_redirects_share_one_time_out(server: ScriptedServer) -> None:
    server.answer("/", response("302 Found", "Location: /hang"))
    server.answer("/hang", HANG)
    async with asyncio.timeout(TIMEOUT_S):
        finding = await ask(server, timeout_s=SHORT_S)
    assert finding.output == (
        f'Get "http://127.0.0.1:{server.port}/hang": '
        "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    )
