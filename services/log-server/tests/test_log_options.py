"""The query of `/containerLogs`: what the kubelet takes, and what it answers to the rest."""

import pytest

from log_server.domain.logoptions import (
    ContainerPath,
    InvalidOptionsError,
    LogOptions,
    MissingNameError,
    UndecodableQueryError,
    UnsupportedStreamError,
    parse_container_path,
    parse_log_options,
)

NOW = 1_000_000_000 * 10**9
SECOND = 10**9


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("", LogOptions()),
        (
            "follow=true&previous=true&timestamps=true",
            LogOptions(follow=True, previous=True, timestamps=True),
        ),
        ("follow=", LogOptions(follow=True)),
        ("follow=no", LogOptions(follow=True)),
        ("follow=False", LogOptions()),
        ("follow=0&follow=true", LogOptions()),
        ("sinceSeconds=5", LogOptions(since_ns=NOW - 5 * SECOND)),
        ("sinceSeconds=%2B5", LogOptions(since_ns=NOW - 5 * SECOND)),
        ("sinceSeconds=9223372036854775807", LogOptions(since_ns=NOW - (2**63 // SECOND) * SECOND)),
        ("sinceTime=2001-09-09T01:46:40Z", LogOptions(since_ns=NOW)),
        ("sinceTime=2001-09-09T03:46:40.000000001%2B02:00", LogOptions(since_ns=NOW + 1)),
        ("sinceTime=", LogOptions()),
        ("sinceTime=null", LogOptions()),
        ("tailLines=0", LogOptions(tail_lines=0)),
        ("tailLines=7&tail=3", LogOptions(tail_lines=3)),
        ("tailLines=7&tail=all", LogOptions()),
        ("tailLines=7&tail=", LogOptions(tail_lines=7)),
        ("limitBytes=1", LogOptions(limit_bytes=1)),
        ("stream=All", LogOptions()),
        ("unknown=1&insecureSkipTLSVerifyBackend=true", LogOptions()),
    ],
)
def test_a_query_is_decoded_as_the_kubelet_decodes_it(query: str, options: LogOptions) -> None:
    assert parse_log_options(query, NOW) == options


@pytest.mark.parametrize(
    "query",
    [
        "tailLines=x",
        "tailLines=",
        "tailLines=1.5",
        "tailLines=+5",  # `+` is a space in a query
        "tailLines=1_000",
        "tailLines=%D9%A3",
        "tail=some",
        "limitBytes=9223372036854775808",
        "sinceSeconds=" + "9" * 5000,
        "sinceTime=yesterday",
        "sinceTime=2026-02-30T00:00:00Z",
        "sinceTime=2026-01-01",
    ],
)
def test_what_is_no_number_and_no_time_cannot_be_decoded(query: str) -> None:
    with pytest.raises(UndecodableQueryError) as refusal:
        parse_log_options(query, NOW)
    assert str(refusal.value) == '{"message": "Unable to decode query."}'


@pytest.mark.parametrize(
    "query",
    [
        "tailLines=-1",
        "limitBytes=0",
        "sinceSeconds=0",
        "sinceSeconds=-1",
        "sinceSeconds=1&sinceTime=2001-09-09T01:46:40Z",
        "sinceSeconds=1&sinceTime=",
        "stream=Both",
        "stream=",
        "stream=Stdout&tailLines=1",
    ],
)
def test_what_is_out_of_bounds_is_invalid(query: str) -> None:
    with pytest.raises(InvalidOptionsError) as refusal:
        parse_log_options(query, NOW)
    assert str(refusal.value) == '{"message": "Invalid request."}'


def test_a_single_stream_is_behind_a_gate() -> None:
    with pytest.raises(UnsupportedStreamError) as refusal:
        parse_log_options("stream=Stderr", NOW)
    assert str(refusal.value) == (
        'unable to return the given log stream: "Stderr". '
        "Please enable PodLogsQuerySplitStreams feature gate in kubelet"
    )


def test_what_cannot_be_decoded_is_said_before_what_is_invalid() -> None:
    with pytest.raises(UndecodableQueryError):
        parse_log_options("tailLines=-1&limitBytes=x", NOW)


@pytest.mark.parametrize(
    ("rest", "text"),
    [
        ("ns//c", '{"message": "Missing podID."}'),
        ("//", '{"message": "Missing podID."}'),
        ("ns/p/", '{"message": "Missing container name."}'),
        ("/p/c", '{"message": "Missing podNamespace."}'),
    ],
)
def test_an_empty_segment_is_named(rest: str, text: str) -> None:
    with pytest.raises(MissingNameError) as refusal:
        parse_container_path(rest)
    assert str(refusal.value) == text


def test_only_three_segments_name_a_container() -> None:
    assert parse_container_path("ns/p/c") == ContainerPath(namespace="ns", pod="p", container="c")
    assert parse_container_path("ns/p") is None
    assert parse_container_path("ns/p/c/d") is None
    assert parse_container_path("") is None
