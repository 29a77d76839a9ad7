"""Write docs/pod-spec.md from the field table, or with --check say whether it is current.

The table that decides about pods is the one that is shown, so the page cannot promise too much.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from typing import Final

from document_settings import ROOT

from podspec.fields import TABLE
from podspec.rows import Row, Verdict

DOCUMENT = ROOT / "docs" / "pod-spec.md"
HEAD = """# The fields of a Pod

Every field that Kubernetes knows, and what becomes of it here:

- **honoured**: it does what Kubernetes says, by us or by whom the note names;
- **ignored**: it has not the effect that Kubernetes gives it, and does no harm; a pod that sets it
  runs, and an Event (`FieldsIgnored`) says why, and what it does instead where it does something;
- **refused**: a pod that sets it does not run: phase `Failed`, reason `PodFeatureUnsupported`, and
  a message that names the field, in the status and in an Event.

A field is named by its path: `[]` stands for each item of a list, `*` for each key of a map; a row
speaks for everything below it. Null, an empty map or list, empty text where an API server has a
default for it, and the values listed as *no use* are as good as absent. A field that no row names
is refused. `wasmlet check FILE` says all this of a manifest before it is applied; [pods](pods.md)
tells it in prose.

This page is made from the table in `packages/podspec` by `make docs`.
"""
CONTAINERS = "Containers"
SECTIONS: Final = (
    ("Metadata", "metadata."),
    ("Volumes", "spec.volumes[]"),
    (CONTAINERS, "spec.containers[]"),
    ("Ephemeral containers, where they differ", "spec.ephemeralContainers[]"),
    ("The pod", "spec."),
)
_ORDER: Final = (0, 4, 2, 3, 1)
# What applies to every probe and every hook is shown once.
_ALIKE: Final = re.compile(r"(startup|readiness|liveness)Probe|lifecycle\.(postStart|preStop)")
_INIT: Final = "spec.initContainers[]"


def main() -> int:
    text = document()
    if "--check" in sys.argv:
        if DOCUMENT.read_text() == text:
            return 0
        sys.stderr.write("docs/pod-spec.md is not current: run `make docs`\n")
        return 1
    DOCUMENT.write_text(text)
    return 0


def document() -> str:
    found: dict[str, list[Row]] = {title: [] for title, _ in SECTIONS}
    for row in shown_rows():
        found[next(title for title, start in SECTIONS if row.path.startswith(start))].append(row)
    parts = [HEAD, counted()]
    for title, start in (SECTIONS[place] for place in _ORDER):
        below = start if start.endswith("[]") else ""
        parts.append(section(title, below, found[title]))
    return "\n".join(parts)


def counted() -> str:
    """Say how many rows there are of each verdict."""
    numbers = {verdict: sum(row.verdict is verdict for row in TABLE) for verdict in Verdict}
    told = ", ".join(f"{number} {verdict}" for verdict, number in numbers.items())
    return f"{len(TABLE)} rows: {told}.\n"


def shown_rows() -> Iterator[Row]:
    """Leave out what is the same elsewhere: init containers, and ephemeral ones where they are."""
    app = {_below(row): _said(row) for row in TABLE if row.path.startswith("spec.containers[]")}
    for row in TABLE:
        is_init = row.path.startswith(_INIT)
        is_ephemeral = row.path.startswith("spec.ephemeralContainers[]")
        if not (is_init or is_ephemeral) or app.get(_below(row)) != _said(row):
            if is_init:
                raise ValueError(f"{row.path} differs from the same field of an app container")
            yield row


def section(title: str, below: str, rows: Iterable[Row]) -> str:
    lines = [f"## {title}", ""]
    if title == CONTAINERS:
        lines += ["The same for `containers` and `initContainers`.", ""]
    if below:
        lines += [f"Below `{below}`:", ""]
    lines += ["| field | | note |", "|---|---|---|"]
    told = (line(row, below) for row in rows)
    return "\n".join([*lines, *dict.fromkeys(told), ""])


def line(row: Row, below: str) -> str:
    path = row.path.removeprefix(f"{below}.") if below else row.path
    return f"| `{_ALIKE.sub(_shared_name, path)}` | {row.verdict} | {note(row)} |"


def note(row: Row) -> str:
    """Say why, which values are honoured, which are no use, and what it asks of the node."""
    parts = [row.note]
    if row.wanted:
        parts.append(row.wanted)
    elif row.pattern:
        parts.append(honoured_values(row.pattern))
    if row.defaults:
        parts.append(f"no use: {', '.join(f'`{_written(each)}`' for each in row.defaults)}")
    if row.needs:
        parts.append(f"needs {row.needs}")
    return "; ".join(part for part in parts if part)


def honoured_values(pattern: str) -> str:
    """List the words, or show the expression where there are too many."""
    words = pattern.split("|")
    if all(re.fullmatch(r"\w*", word) for word in words):
        return f"values: {', '.join(f'`{word}`' if word else 'nothing' for word in words)}"
    return f"what matches `{pattern.replace('|', '\\|')}`"


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shared_name(match: re.Match[str]) -> str:
    return "(startup,readiness,liveness)Probe" if match[1] else "lifecycle.(postStart,preStop)"


def _below(row: Row) -> str:
    return row.path.partition("Containers[]." if "Containers[]" in row.path else "containers[].")[2]


def _said(row: Row) -> tuple[object, ...]:
    return row.verdict, row.note, row.defaults, row.pattern, row.needs


if __name__ == "__main__":
    sys.exit(main())
