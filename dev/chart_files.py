"""Write the parts of the Helm chart that are made from the code, or with --check compare them.

Who may say what on the bus and which settings a service knows stand in the code; the chart cannot
run it. The values page is made from the chart's own schema and defaults.
"""

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from contract.ids import NodeName
from contract.permissions import permissions
from contract.subjects import Role
from embedded_nats.config import SERVICES, user_entry

ROOT: Final = Path(__file__).parent.parent
CHART: Final = ROOT / "helm" / "wasmlet"
PERMISSIONS: Final = CHART / "files" / "bus-permissions.json"
SCHEMA: Final = CHART / "values.schema.json"
DOCUMENT: Final = ROOT / "docs" / "values.md"
ANY_NODE: Final = NodeName("placeholder")

# What the chart itself says to a service: a second value would be a contradiction.
SHARED_BY_CHART: Final = frozenset(
    [
        "NATS_URL",
        "NATS_PASSWORD_FILE",
        "NATS_TOKEN_FILE",
        "NATS_CA_FILE",
        "LOG_LEVEL",
        "LOG_FORMAT",
        "ADMIN_HOST",
        "ADMIN_PORT",
        "TRACES_ENDPOINT",
        "TRACES_SAMPLING_RATIO",
    ]
)
ELECTING: Final = frozenset(["KUBECONFIG", "ELECTION", "ELECTION_NAMESPACE", "ELECTION_IDENTITY"])
GATE: Final = frozenset(
    ["BUS_ISSUER_FILE", "BUS_SERVICE_ACCOUNT", "ENROLMENT_DIR", "APPROVE_CERTIFICATES"]
)
SAID_BY_CHART: Final[dict[str, tuple[str, frozenset[str]]]] = {
    "nodeRegistrar": (
        "node-registrar",
        ELECTING | GATE | {"ADDRESS_TYPE", "HOST_PREFIX", "INSTALLATION"},
    ),
    "podReconciler": ("pod-reconciler", ELECTING | {"NAMESPACES", "STATUS_FILE"}),
    "wasmExecutor": (
        "wasm-executor",
        frozenset(
            ["NODE_NAME", "DATA_DIR", "RUN_DIR", "LOG_ROOT", "HEALTH_FOLDER", "PRIVILEGE_PROFILE"]
        ),
    ),
    "logServer": (
        "log-server",
        frozenset(
            [
                "KUBECONFIG",
                "NODE_NAMES",
                "NODE_ADDRESS",
                "KUBELET_PORT",
                "RUN_DIR",
                "EXECUTOR_SOCKET",
                "CERTIFICATE_MODE",
                "TLS_CERT_FILE",
                "TLS_PRIVATE_KEY_FILE",
            ]
        ),
    ),
}
HEAD: Final = """# Values of the Helm chart

What `helm/wasmlet` can be told. A value that is not listed here is refused
(`values.schema.json`). `settings` of a service takes every name of [settings.md](settings.md)
without its `WASMLET_`, but for those that the chart sets itself.

This page is made from the chart by `make docs`.

| value | default | |
|---|---|---|
"""


def main() -> int:
    made = {PERMISSIONS: bus_permissions(), SCHEMA: schema()}
    made[DOCUMENT] = document(json.loads(made[SCHEMA]))
    stale = [file for file, text in made.items() if not file.exists() or file.read_text() != text]
    if "--check" in sys.argv:
        for file in stale:
            sys.stderr.write(f"{file.relative_to(ROOT)} is not current: run `make docs`\n")
        return 1 if stale else 0
    for file in stale:
        file.write_text(made[file])
    return 0


def bus_permissions() -> str:
    """Return the bus's users; the executor's as a pattern over its node."""
    executor = json.dumps(user_entry(permissions(Role.WASM_EXECUTOR, ANY_NODE)))
    table = {
        "services": [user_entry(permissions(role)) for role in SERVICES],
        "executor": json.loads(executor.replace(ANY_NODE, "{node}")),
    }
    return json.dumps(table, indent=2) + "\n"


def schema() -> str:
    """Return the schema with the settings that each service knows today."""
    written = json.loads(SCHEMA.read_text())
    for key in SAID_BY_CHART:
        names = {name: {"$ref": "#/$defs/setting"} for name in chart_settings(key)}
        written["properties"][key]["properties"]["settings"]["properties"] = names
    return json.dumps(written, indent=2, ensure_ascii=False) + "\n"


def chart_settings(key: str) -> list[str]:
    """Return the settings of a service that a user of the chart may give."""
    service, taken = SAID_BY_CHART[key]
    source = ROOT / "services" / service / "src" / service.replace("-", "_") / "settings.py"
    return [name for name in fields(source) if name not in taken | SHARED_BY_CHART]


def fields(source: Path) -> Iterator[str]:
    for node in ast.parse(source.read_text()).body:
        if isinstance(node, ast.ClassDef) and node.name.endswith("Settings"):
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    yield field.target.id.upper()


def document(schema: dict[str, Any]) -> str:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    return HEAD + "".join(rows(schema, values, ""))


def rows(part: dict[str, Any], values: dict[str, Any], path: str) -> Iterator[str]:
    """Yield a row per leaf; a map of the user's own, such as labels, is one."""
    for name, each in part["properties"].items():
        at = f"{path}{name}"
        if "properties" in each and name != "settings":
            yield from rows(each, values.get(name, {}), f"{at}.")
            continue
        default = json.dumps(values[name]) if name in values else "none"
        default = default.replace("|", "\\|")
        yield f"| `{at}` | `{default}` | {each.get('description', '')} |\n"


if __name__ == "__main__":
    sys.exit(main())
