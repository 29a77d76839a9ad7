"""What a node would make of a WebAssembly file: which runtime takes it, and what it is denied."""

from typing import Final, NamedTuple

from wasmlet.artifact import Kind, kind_of
from wasmlet.wasmnames import Names, names_of_component, names_of_module

_MODULE_WASI: Final = ("wasi_snapshot_preview1::", "wasi_unstable::")
_CGI_HTTP: Final = "wasi_experimental_http::"
"""What only CGI handlers have."""
_HANDLER: Final = "wasi:http/incoming-handler@0.2"
_RUN: Final = "wasi:cli/run@0.2"
_GIVEN: Final = tuple(
    f"wasi:{package}/" for package in ("cli", "clocks", "filesystem", "io", "random", "sockets")
)
_HTTP: Final = "wasi:http/"
_SOCKETS: Final = ("wasi:sockets/", "wasi_snapshot_preview1::sock_")


class Verdict(NamedTuple):
    """`runtime` is empty where none takes it; `remarks` say why, and what is denied."""

    what: str
    runtime: str
    names: Names
    remarks: tuple[str, ...]


def verdict_on(name: str, content: bytes) -> Verdict:
    """Judge a file's content; raise `CommandLineError` if it is no WebAssembly."""
    if kind_of(name, content) is Kind.MODULE:
        return _on_module(names_of_module(content))
    return _on_component(names_of_component(content))


def _on_module(names: Names) -> Verdict:
    wasi = any(each.startswith(_MODULE_WASI) for each in names.imports)
    is_command = "_start" in names.exports
    is_cgi = any(each.startswith(_CGI_HTTP) for each in names.imports)
    remarks = [] if is_command else ["it exports no function `_start`: no runtime takes it"]
    if is_cgi:
        remarks.append("its pod wants a RuntimeClass whose handler is `wagi` (wasmtime-wagi)")
    remarks += [
        f"nothing provides the import {each}"
        for each in names.imports
        if not each.startswith((*_MODULE_WASI, _CGI_HTTP))
    ]
    runtime = "wagi" if is_cgi else "wasi"
    what = "module (WASI 0.1)" if wasi else "module (without WASI)"
    return Verdict(what, runtime if is_command else "", names, (*remarks, *_sockets(names)))


def _on_component(names: Names) -> Verdict:
    runtime = ""
    if any(each.startswith(_HANDLER) for each in names.exports):
        runtime = "wasi-http"
    elif any(each.startswith(_RUN) for each in names.exports):
        runtime = "wasi"
    given = (*_GIVEN, _HTTP) if runtime == "wasi-http" else _GIVEN
    remarks = [
        f"nothing provides the import {each}"
        for each in names.imports
        if not (each.startswith(given) and each.rpartition("@")[2].startswith("0.2."))
    ]
    if not runtime:
        remarks.insert(0, f"it exports neither {_RUN} nor {_HANDLER}: no runtime takes it")
    return Verdict("component (WASI 0.2)", runtime, names, (*remarks, *_sockets(names)))


def _sockets(names: Names) -> tuple[str, ...]:
    if any(each.startswith(_SOCKETS) for each in names.imports):
        return ("sockets are denied, but on a node with WASMLET_GUEST_SOCKETS",)
    return ()
