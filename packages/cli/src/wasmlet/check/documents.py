"""Reading manifests: every document of a file, with its number, or a line that says what is wrong.

What comes before a mistake in a file is used; so is every other file.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

STDIN: Final = "-"
STDIN_NAME: Final = "stdin"

type Json = dict[str, Any]


class Document(NamedTuple):
    """One document, and where it stands: documents of a file are counted from 1."""

    file: str
    number: int
    content: Json


class Unreadable(NamedTuple):
    """What cannot be read, in one line that names the place."""

    file: str
    problem: str


def documents_of(file: str) -> Iterator[Document | Unreadable]:
    """The documents of a file (`-` is stdin); an empty one is left out, but counted."""
    name = STDIN_NAME if file == STDIN else file
    try:
        text = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
        for number, content in enumerate(_contents(text.decode("utf-8")), start=1):
            if isinstance(content, dict) and content.get("kind"):
                yield Document(name, number, _with_text_keys(content))
            elif content is not None:
                problem = f"document {number}: it is no Kubernetes object: it has no kind"
                yield Unreadable(name, problem)
    except OSError as error:
        yield Unreadable(name, error.strerror or str(error))
    except UnicodeDecodeError as error:
        yield Unreadable(name, f"byte {error.start} is no UTF-8")
    except yaml.YAMLError as error:
        yield Unreadable(name, _yaml_problem(error))
    except RecursionError:
        yield Unreadable(name, "it is nested too deeply")


def _contents(text: str) -> Iterator[Any]:
    # JSON is YAML but for tabs between its words.
    if text.lstrip().startswith("{"):
        try:
            content = json.loads(text)
        except ValueError:
            pass  # a flow mapping, or several documents; YAML says what is wrong
        else:
            yield content
            return
    yield from yaml.safe_load_all(text)


def _yaml_problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    if mark is None:
        return str(problem)
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"


def _with_text_keys(value: Any) -> Any:
    """YAML knows other keys than text (`on`, `1`); in an API object each is text."""
    if isinstance(value, dict):
        return {str(key): _with_text_keys(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_text_keys(each) for each in value]
    return value
