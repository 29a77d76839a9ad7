"""Reading manifests: every document of a file, with its lines, or a line that says what is wrong.

What comes before a mistake in a file is used; so is every other file.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from wasmlet.check.lines import Lines

STDIN: Final = "-"
STDIN_NAME: Final = "stdin"
MAX_VALUES: Final = 1_000_000

type Json = dict[str, Any]


class Document(NamedTuple):
    """One document, and where it stands: documents of a file are counted from 1."""

    file: str
    number: int
    content: Json
    lines: Lines


class Unreadable(NamedTuple):
    """What cannot be read, in one line that names the place."""

    file: str
    problem: str


def documents_of(file: str) -> Iterator[Document | Unreadable]:
    """The documents of a file (`-` is stdin); an empty one is left out, but counted."""
    name = STDIN_NAME if file == STDIN else file
    try:
        text = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
        for number, (content, lines) in enumerate(_contents(text.decode("utf-8")), start=1):
            if isinstance(content, dict) and content.get("kind"):
                yield Document(name, number, _Plain().of(content), lines)
            elif content is not None:
                problem = f"document {number}: it is no Kubernetes object: it has no kind"
                yield Unreadable(name, problem)
    except (OSError, ValueError, yaml.YAMLError, RecursionError, _TooLargeError) as error:
        yield Unreadable(name, _problem_of(error))


def _problem_of(error: Exception) -> str:
    match error:
        case OSError():
            return error.strerror or str(error)
        case UnicodeDecodeError():
            return f"byte {error.start} is no UTF-8"
        case yaml.YAMLError():
            return _yaml_problem(error)
        case RecursionError():
            return "it is nested too deeply"
        case _TooLargeError():
            return f"it has more than {MAX_VALUES} values"
        case _:
            return str(error)  # a date that YAML takes for one, and that is none


def _contents(text: str) -> Iterator[tuple[Any, Lines]]:
    # JSON is YAML but for tabs between its words.
    if text.lstrip().startswith("{"):
        try:
            content = json.loads(text)
        except ValueError:
            pass  # a flow mapping, or several documents; YAML says what is wrong
        else:
            yield content, _lines_of_json(text)
            return
    yield from _yaml_contents(yaml.SafeLoader(text))


def _lines_of_json(text: str) -> Lines:
    # What `kubectl get -o json` writes for a cluster is large: the loader in C has its lines in a
    # third of the time, where libyaml is there.
    if re.search(r"[\r\n]", text.rstrip()) is None:
        return Lines.of_one_line()
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return Lines(lambda: yaml.compose(text.replace("\t", " "), loader))


def _yaml_contents(loader: yaml.SafeLoader) -> Iterator[tuple[Any, Lines]]:
    """As `safe_load_all`, with the nodes, which know where they stood."""
    while loader.check_node():
        node = loader.get_node()
        yield loader.construct_document(node), Lines.of_node(node)


def _yaml_problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    if mark is None:
        return str(problem)
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"


class _TooLargeError(Exception):
    """More values than any API server takes: aliases can make a few lines into billions."""


class _Plain:
    """YAML knows other keys than text (`on`, `1`); in an API object each is text."""

    def __init__(self) -> None:
        self._left = MAX_VALUES

    def of(self, value: Any) -> Any:
        """The same with text for keys; raises `_TooLargeError`."""
        self._left -= 1
        if self._left < 0:
            raise _TooLargeError
        if isinstance(value, dict):
            return {str(key): self.of(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.of(each) for each in value]
        return value
