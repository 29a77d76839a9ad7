"""Which interfaces a component may import, and which WASI it is made for."""

import pytest

from podspec.interfaces import is_given, others_in, versions_of


@pytest.mark.parametrize(
    ("name", "given_to"),
    [
        ("wasi:cli/stdout@0.2.0", {"command", "handler"}),
        ("wasi:sockets/tcp@0.2.9", {"command", "handler"}),
        ("wasi:http/types@0.2.0", {"handler"}),
        ("wasi:cli/stdout@0.3.0", set()),
        ("wasi:cli/stdout@0.20.0", set()),
        ("wasi:keyvalue/store@0.2.0", set()),
        ("wasi:cli/stdout", set()),
        ("team:wasi/cli@0.2.0", set()),
    ],
)
def test_an_interface_is_given_by_its_package_and_version(name: str, given_to: set[str]) -> None:
    worlds = ("command", "handler")
    assert {each for each in worlds if is_given(name, to_handler=each == "handler")} == given_to


def test_versions_are_those_of_wasi_alone() -> None:
    names = ["wasi:a/b@0.3.0-rc-2025-09-16", "wasi:a/b@0.2.6", "wasi:c/d@0.2.0", "t:x/y@1.0.0", "f"]
    assert versions_of(names) == ["0.2", "0.3"]


def test_what_is_named_of_another_wasi_is_found_in_bytes_that_no_engine_reads() -> None:
    names = (b"wasi:io/poll@0.2.0", b"wasi:cli/run@0.3.0", b"wasi:cli/run@0.3.0", b"team:a/b@0.3.0")
    assert others_in(b"\0asm\1" + b"\0".join(names)) == ["wasi:cli/run@0.3.0"]
