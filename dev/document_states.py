"""Write docs/states.md from the tables of states, or with --check say whether it is current.

The diagrams are drawn from the tables that move pods and containers, so they cannot be wrong.
What a state means is the docstring under its name, read as source.
"""

import ast
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from document_settings import ROOT, docstring

from pod_reconciler.domain import lifecycle
from wasm_executor.domain import states

DOCUMENT = ROOT / "docs" / "states.md"
HEAD = """# States

What can become of a container and of a pod is two tables in the code; a state changes by them and
in no other way. This page is made from them by `make docs`.
"""
CONTAINER = """## A container, in the executor

The executor moves a container without asking anyone: a node that is cut off goes on restarting,
probing and ending. `shows` is what the state is in `containerStatuses`; `as-before` keeps what was
shown when the state was entered, since a prompt step is nobody's news.
"""
POD = """## A pod, in the reconciler

What there is to do about a pod, given what the API server shows and what its node reports.
"""


def main() -> int:
    text = document()
    if "--check" in sys.argv:
        if DOCUMENT.read_text() == text:
            return 0
        sys.stderr.write("docs/states.md is not current: run `make docs`\n")
        return 1
    DOCUMENT.write_text(text)
    return 0


def document() -> str:
    executor = ROOT / "services/wasm-executor/src/wasm_executor/domain/states.py"
    reconciler = ROOT / "services/pod-reconciler/src/pod_reconciler/domain/lifecycle.py"
    shows = {phase: form.value for phase, form in states.SHOWS.items()}
    parts = [
        HEAD,
        CONTAINER,
        diagram(states.TRANSITIONS, states.Phase.PENDING),
        table(executor, "Phase", states.Phase, shows),
        POD,
        diagram(lifecycle.TRANSITIONS, lifecycle.PodState.SEEN),
        table(reconciler, "PodState", lifecycle.PodState, {}),
    ]
    return "\n".join(parts)


def diagram[S: StrEnum, E: StrEnum](ways: Mapping[S, Mapping[E, S]], first: S) -> str:
    """Draw a table of transitions; ways between the same two states are one arrow."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {_name(first)}"]
    for state, row in ways.items():
        by_end: dict[S, list[str]] = {}
        for event, end in row.items():
            by_end.setdefault(end, []).append(event.value)
        lines += [
            f"    {_name(state)} --> {_name(end)}: {', '.join(events)}"
            for end, events in by_end.items()
        ]
    return "\n".join([*lines, "```", ""])


def table[S: StrEnum](source: Path, name: str, kind: type[S], shows: Mapping[S, str]) -> str:
    """List the states with what they mean, and what they show where that is known."""
    meanings = _meanings(source, name)
    if shows:
        lines = ["| state | shows | |", "|---|---|---|"]
        lines += [f"| {each} | {shows[each]} | {meanings.get(each.name, '')} |" for each in kind]
    else:
        lines = ["| state | |", "|---|---|"]
        lines += [f"| {each} | {meanings.get(each.name, '')} |" for each in kind]
    return "\n".join([*lines, ""])


def _name(state: StrEnum) -> str:
    return state.value.replace("-", "_")


def _meanings(source: Path, name: str) -> dict[str, str]:
    for node in ast.parse(source.read_text()).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            following = [*node.body[1:], None]
            return {
                each.targets[0].id: docstring(after)
                for each, after in zip(node.body, following, strict=True)
                if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name)
            }
    raise LookupError(f"{source} has no class {name}")


if __name__ == "__main__":
    sys.exit(main())
