"""Routes, arguments and headers of CGI handlers, without a guest."""

import pytest

from wasm_executor.container.plan import Route
from wasm_executor.runtimes.wagi.answering import Output
from wasm_executor.runtimes.wagi.routes import RoutesError, found, with_own
from wasm_executor.runtimes.wagi.variables import Place, variables
from wasm_executor.runtimes.wasihttp.errors import HandlerEndedError, HttpFailedError
from wasm_executor.runtimes.wasihttp.fields import Fields
from wasm_executor.runtimes.wasihttp.messages import IncomingRequest, OutgoingResponse


class Heard:
    """Who is answered."""

    response: OutgoingResponse | None = None

    def respond(self, response: OutgoingResponse) -> None:
        self.response = response

    def fail(self, error: HttpFailedError) -> None:
        raise error


def heard(*parts: bytes) -> OutgoingResponse:
    answer = Heard()
    output = Output(answer)
    for part in parts:
        output.take(part)
    output.finish()
    assert answer.response is not None
    return answer.response


@pytest.mark.parametrize(
    ("path", "route", "script", "info"),
    [
        ("/", "/...", "", "/"),
        ("/hello", "/hello", "/hello", ""),
        ("/hello/", "/...", "", "/hello/"),
        ("/one/two", "/one/...", "/one", "/two"),
        ("/one", "/one/...", "/one", ""),
        ("/oneness", "/...", "", "/oneness"),
    ],
)
def test_the_last_route_that_matches_counts(path: str, route: str, script: str, info: str) -> None:
    routes = [Route(route=each) for each in ("/...", "/hello", "/one/...")]
    match = found(routes, path)
    assert match is not None
    assert (match.route.route, match.script_name, match.path_info) == (route, script, info)


def test_a_path_without_a_route_is_nobodys() -> None:
    assert found([Route(route="/a"), Route(route="/b/...")], "/c") is None


def test_a_modules_own_routes_are_below_the_given_one() -> None:
    routes = with_own(Route(route="/x/...", argv="y"), "/hello hello\n\n/deep/... deep\n")
    assert [(each.route, each.entrypoint, each.argv) for each in routes] == [
        ("/x/...", "_start", "y"),
        ("/x/hello", "hello", "y"),
        ("/x/deep/...", "deep", "y"),
    ]
    with pytest.raises(RoutesError, match="'/hello'"):
        with_own(Route(route="/"), "/hello\n")


@pytest.mark.parametrize(
    ("output", "status"),
    [
        (b"content-type: text/plain\n\n", 200),
        (b"Content-Type: text/plain\r\nStatus: 201 Made\r\n\r\n", 201),
        (b"location: /there\n\n", 302),
        (b"location: /there\nstatus: 307\n\n", 307),
        (b"status: nonsense\n\n", 502),
    ],
)
def test_a_header_says_the_status(output: bytes, status: int) -> None:
    assert heard(output).status == status


def test_a_header_may_come_in_parts_and_the_body_with_it() -> None:
    response = heard(b"content-", b"type: a/b\r\nset-cookie: a\nset-cookie: b\n", b"\r\nbody", b"!")
    assert response.fields.get("set-cookie") == [b"a", b"b"]
    assert bytes(response.body._held) == b"body!"


@pytest.mark.parametrize("output", [b"", b"content-type: a/b\n", b"x: y\n\n", b"\n\nhello"])
def test_an_output_without_a_whole_header_is_no_answer(output: bytes) -> None:
    with pytest.raises(HandlerEndedError, match="header"):
        heard(output)


@pytest.mark.parametrize(
    ("authority", "name", "port"),
    [
        ("a", "a", "8080"),
        ("a:81", "a", "81"),
        ("[::1]", "[::1]", "8080"),
        ("[::1]:9", "[::1]", "9"),
    ],
)
def test_the_server_is_named_by_the_request(authority: str, name: str, port: str) -> None:
    request = IncomingRequest("GET", "/", authority, Fields(), None)  # type: ignore[arg-type] # no body
    match = found([Route(route="/...")], "/")
    assert match is not None
    told = variables(request, match, Place("10.0.0.1", 8080, "1.1", ""))
    assert (told["SERVER_NAME"], told["SERVER_PORT"]) == (name, port)


def test_a_field_that_would_be_anothers_variable_is_left_out() -> None:
    fields = Fields([("x-forwarded-user", b"alice"), ("x_forwarded_user", b"eve")])
    request = IncomingRequest("GET", "/", "a", fields, None)  # type: ignore[arg-type] # no body
    match = found([Route(route="/...")], "/")
    assert match is not None
    told = variables(request, match, Place("10.0.0.1", 8080, "1.1", ""))
    assert told["HTTP_X_FORWARDED_USER"] == "alice"
