"""Write docs/settings.md from the settings structs, or with --check say whether it is current.

The text of a setting is the docstring under its field; it is read as source, because attribute
docstrings are not kept at run time.
"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "settings.md"
SHARED = ROOT / "packages" / "servicekit" / "src" / "servicekit" / "settings.py"
SERVICES = ("node-registrar", "pod-reconciler", "wasm-executor", "log-server")
HEAD = """# Settings

Each service reads its settings once, from environment variables. An unknown `WASMLET_` variable, a
missing one and a value out of bounds end the service with exit code 2 and one line. A name that
ends in `_S` is in seconds, in `_BYTES` in bytes, in `_MILLIS` in thousandths of a core; lists are
separated by commas. `wasmlet up --set SERVICE:NAME=VALUE` passes one to a service.

This page is made from the code by `make docs`.
"""


def main() -> int:
    text = document()
    if "--check" in sys.argv:
        if DOCUMENT.read_text() == text:
            return 0
        sys.stderr.write("docs/settings.md is not current: run `make docs`\n")
        return 1
    DOCUMENT.write_text(text)
    return 0


def document() -> str:
    parts = [HEAD, "## Every service\n", table(SHARED)]
    for service in SERVICES:
        source = ROOT / "services" / service / "src" / service.replace("-", "_") / "settings.py"
        parts += [f"## {service}\n", table(source)]
    return "\n".join(parts)


def table(source: Path) -> str:
    lines = ["| variable | default | |", "|---|---|---|"]
    for node in ast.parse(source.read_text()).body:
        if isinstance(node, ast.ClassDef) and node.name.endswith("Settings"):
            lines += rows(node)
    return "\n".join(lines) + "\n"


def rows(struct: ast.ClassDef) -> list[str]:
    found = []
    for field, after in zip(struct.body, [*struct.body[1:], None], strict=True):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        name = f"WASMLET_{field.target.id.upper()}"
        found.append(f"| `{name}` | {default_of(field.value)} | {docstring(after)} |")
    return found


def default_of(value: ast.expr | None) -> str:
    if value is None:
        return "required"
    if isinstance(value, ast.Tuple):
        return ", ".join(f"`{each}`" for each in ast.literal_eval(value)) or "none"
    text = ast.unparse(value).removeprefix("Path(").rstrip(")").strip("'\"")
    return {"None": "none", "": "none"}.get(text, f"`{_number(text)}`")


def _number(text: str) -> str:
    """Return a product such as 10 * 1024 * 1024 as its result."""
    if "*" not in text:
        return text
    product: float = 1
    for factor in text.split("*"):
        product *= float(factor)
    return f"{product:g}" if product != int(product) else str(int(product))


def docstring(node: ast.stmt | None) -> str:
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Constant):
        return ""
    return " ".join(str(node.value.value).split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
