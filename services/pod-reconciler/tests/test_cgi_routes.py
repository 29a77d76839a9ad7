"""What a pod says of its CGI modules, and what is wrong with it."""

import pytest

from contract.messages.pod import CgiRoute
from pod_reconciler.domain.cgiroutes import cgi_rules, require_known_containers
from pod_reconciler.errors import PlanError

KEY = "wasmlet.dev/wagi-modules"


def test_a_container_without_a_word_has_no_routes() -> None:
    assert cgi_rules({}, "app") == ((), ())
    assert cgi_rules({KEY: '{"other": {"route": "/"}}'}, "app") == ((), ())


def test_krustlets_form_is_read_and_schemes_become_ports() -> None:
    text = """{
      "app": {"route": "/app/...", "allowed_hosts": ["https://api.example", "http://a:8080/x"]},
      "two": [{"route": "/one", "entrypoint": "one"}, {"route": "/two", "argv": "two ${ARGS}"}]
    }"""
    assert cgi_rules({KEY: text}, "app") == (
        (CgiRoute(route="/app/..."),),
        ("api.example:443", "a:8080"),
    )
    routes = cgi_rules({KEY: text}, "two").routes
    assert [each.entrypoint for each in routes] == ["one", "_start"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (" API.example ", "api.example"),
        ("*.api.example:8443", "*.api.example:8443"),
        ("*:*", "*:*"),
        ("10.0.0.7", "10.0.0.7"),
        ("fd00::7", "fd00::7"),
        ("[fd00::7]:80", "[fd00::7]:80"),
        ("https://[fd00::7]/", "[fd00::7]:443"),
        ("http://*.example", "*.example:80"),
    ],
)
def test_a_host_is_taken_in_every_form_that_the_lists_know(written: str, meant: str) -> None:
    text = f'{{"app": {{"route": "/", "allowed_hosts": ["{written}"]}}}}'
    assert cgi_rules({KEY: text}, "app").allowed_hosts == (meant,)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "api.example/v1",
        "https:/api.example",
        "https://u@api.example",
        "https://api.example?x=1",
        "ftp://api.example",
        "https://",
        "api..example",
        "*example",
        "api.example:0",
        "api.example:65536",
        "api.example:https",
        "https://fd00::7",
        "[fd00::7",
        "[name]",
    ],
)
def test_a_host_that_could_never_be_asked_is_refused(host: str) -> None:
    text = f'{{"app": {{"route": "/", "allowed_hosts": ["{host}"]}}}}'
    with pytest.raises(PlanError, match="is no host, want HOST"):
        cgi_rules({KEY: text}, "app")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("route: /", "malformed"),
        ('{"app": {}}', "route"),
        ('{"app": {"route": "hello"}}', "does not begin with a slash"),
        ('{"app": {"route": "/", "volumes": {}}}', "unknown field `volumes`"),
        ('{"app": {"route": "/", "entrypoint": ""}}', "entrypoint"),
        ('{"app": {"route": "/", "allowed_hosts": ["ftp://a"]}}', "'ftp://a' is no host"),
    ],
)
def test_a_wrong_word_is_refused_by_name(text: str, problem: str) -> None:
    with pytest.raises(PlanError, match=rf"(?s)wagi-modules.*{problem}"):
        cgi_rules({KEY: text}, "app")


def test_routes_of_a_container_that_is_not_there_are_refused() -> None:
    with pytest.raises(PlanError, match="no container 'typo'"):
        require_known_containers({KEY: '{"typo": {"route": "/"}}'}, {"app"})
