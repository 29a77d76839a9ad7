"""What a node would make of a WebAssembly file: which runtime takes it, and what it is denied."""

from typing import Final, NamedTuple

from podspec.interfaces import HANDLER, RUN, VERSION, is_given, versions_of
from wasmlet.artifact import Kind, kind_of
from wasmlet.wasmnames import Names, names_of_component, names_of_module

_MODULE_WASI: Final = ("wasi_snapshot_preview1::", "wasi_unstable::")
_CGI_HTTP: Final = "wasi_experimental_http::"
"""What only CGI handlers have."""
_OTHER_WASI: Final = (
    f"nodes run WASI {VERSION}.x; a runtime program of the machine may run it (`external`)"
)
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
    if any(each.startswith(HANDLER) for each in names.exports):
        runtime = "wasi-http"
    elif any(each.startswith(RUN) for each in names.exports):
        runtime = "wasi"
    remarks = [
        f"nothing provides the import {each}"
        for each in names.imports
        if not is_given(each, to_handler=runtime == "wasi-http")
    ]
    if not runtime:
        remarks.insert(0, f"it exports neither {RUN} nor {HANDLER}: no runtime takes it")
    versions = versions_of(names.imports + names.exports)
    if any(each != VERSION for each in versions):
        remarks.append(_OTHER_WASI)
    what = f"WASI {' and '.join(versions)}" if versions else "without WASI"
    return Verdict(f"component ({what})", runtime, names, (*remarks, *_sockets(names)))


def _sockets(names: Names) -> tuple[str, ...]:
    if any(each.startswith(_SOCKETS) for each in names.imports):
        return ("sockets are denied, but on a node with WASMLET_GUEST_SOCKETS",)
    return ()
