"""Who somebody is, and what a path asks of a Node: the kubelet's tables."""

import pytest

from log_server.domain.attributes import error_text, forbidden_text, subresources_of, verb_of
from log_server.domain.identity import (
    PeerCertificate,
    User,
    bearer_token,
    peer_certificate,
    user_of_certificate,
    with_authenticated_group,
)
from log_server.domain.ports import port_of
from log_server.domain.remembering import Remembered


@pytest.mark.parametrize(
    ("path", "subresources"),
    [
        ("/stats/summary", ("stats",)),
        ("/stats", ("stats",)),
        ("/statsx", ("proxy",)),
        ("/metrics", ("metrics",)),
        ("/metrics/resource", ("metrics",)),
        ("/logs/", ("log",)),
        ("/logs/a/b", ("log",)),
        ("/checkpoint/ns/p/c", ("checkpoint",)),
        ("/statusz", ("statusz",)),
        ("/flagz", ("configz",)),
        ("/pods", ("pods", "proxy")),
        ("/pods/", ("pods", "proxy")),
        ("//pods", ("proxy",)),
        ("/runningpods/", ("pods", "proxy")),
        ("/healthz/ping", ("healthz", "proxy")),
        ("/configz", ("configz", "proxy")),
        ("/containerLogs/ns/p/c", ("proxy",)),
        ("/exec/ns/p/c", ("proxy",)),
        ("/", ("proxy",)),
        ("", ("proxy",)),
        ("/Pods", ("proxy",)),
        ("/nothing", ("proxy",)),
    ],
)
def test_a_path_names_its_subresources_in_order(path: str, subresources: tuple[str, ...]) -> None:
    assert subresources_of(path) == subresources


@pytest.mark.parametrize(
    ("method", "path", "verb"),
    [
        ("GET", "/pods", "get"),
        ("POST", "/stats/summary", "create"),
        ("PUT", "/debug/flags/v", "update"),
        ("PATCH", "/x", "patch"),
        ("DELETE", "/x", "delete"),
        ("HEAD", "/pods", ""),
        ("get", "/pods", ""),
        ("GET", "/exec/ns/p/c", "create"),
        ("GET", "/attach/ns/p/c", "create"),
        ("GET", "/portForward/ns/p", "create"),
        ("GET", "/run/ns/p/c", "create"),
        ("GET", "/runningpods/", "get"),
        ("GET", "/containerLogs/ns/p/c", "get"),
    ],
)
def test_a_method_names_its_verb_and_running_something_is_creating(
    method: str, path: str, verb: str
) -> None:
    assert verb_of(method, path) == verb


def test_refusals_are_in_the_kubelets_words() -> None:
    assert forbidden_text("jane", "get", ("pods", "proxy")) == (
        "Forbidden (user=jane, verb=get, resource=nodes, subresource(s)=[pods proxy])\n"
    )
    assert error_text("jane", "get", "proxy") == (
        "Authorization error (user=jane, verb=get, resource=nodes, subresource=proxy)"
    )


def subject(*pairs: tuple[str, str]) -> dict[str, object]:
    return {"subject": tuple((pair,) for pair in pairs)}


def test_a_certificate_names_its_user_and_groups() -> None:
    decoded = subject(
        ("countryName", "DE"),
        ("organizationName", "a"),
        ("organizationName", "b"),
        ("commonName", "jane"),
    )
    peer = peer_certificate(decoded, not_after=100.0)
    assert user_of_certificate(peer, now=100.0) == User(
        name="jane", groups=("a", "b", "system:authenticated")
    )


def test_nobody_is_who_has_no_name_or_no_time_left() -> None:
    nameless = peer_certificate(subject(("organizationName", "system:masters")), not_after=100.0)
    assert user_of_certificate(nameless, now=1.0) is None
    peer = PeerCertificate(common_name="jane", organizations=(), not_after=100.0)
    assert user_of_certificate(peer, now=100.1) is None
    assert user_of_certificate(None, now=1.0) is None


def test_the_authenticated_group_is_added_once() -> None:
    user = with_authenticated_group(User(name="jane"))
    assert user.groups == ("system:authenticated",)
    assert with_authenticated_group(user) == user
    anonymous = User(name="system:anonymous", groups=("system:unauthenticated",))
    assert with_authenticated_group(anonymous) == anonymous


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (b"Bearer abc", "abc"),
        (b"  bearer abc  ", "abc"),
        (b"BEARER abc def", "abc"),
        (b"Bearer", None),
        (b"Bearer ", None),
        (b"Bearer  abc", None),
        (b"Basic abc", None),
        (b"Bearerabc", None),
        (b"", None),
        (b"Bearer \xff", "\xff"),
    ],
)
def test_only_a_bearer_token_is_a_token(header: bytes, token: str | None) -> None:
    assert bearer_token([(b"host", b"x"), (b"authorization", header)]) == token
    assert bearer_token([]) is None


def test_what_is_remembered_ends_with_its_time() -> None:
    remembered: Remembered[str, bool] = Remembered(2)
    remembered.put("a", False, until=10.0)
    assert remembered.get("a", 9.9) is False
    assert remembered.get("a", 10.0) is None
    assert remembered.get("a", 1.0) is None


def test_what_is_remembered_is_bounded() -> None:
    remembered: Remembered[int, int] = Remembered(2)
    for number in (1, 2, 1, 3):
        remembered.put(number, number, until=10.0)
    assert [remembered.get(number, 0.0) for number in (1, 2, 3)] == [1, None, 3]


def test_ports_follow_the_first_or_are_free() -> None:
    assert [port_of(10250, position) for position in range(3)] == [10250, 10251, 10252]
    assert port_of(0, 5) == 0
