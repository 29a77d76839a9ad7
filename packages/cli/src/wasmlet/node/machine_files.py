"""What a machine that has joined needs on its disk: credentials, settings, systemd's units.

Each service has a user of its own and reads nothing of the other's. Pure: paths to contents.
"""

import sys
from collections.abc import Iterable
from typing import Final

import msgspec
import yaml

from contract.subjects import Role
from wasmlet.node.enrolment import Enrolment

EXECUTOR_USER: Final = "wasmlet-executor"
LOG_SERVER_USER: Final = "wasmlet-logs"
IDENTITY: Final = "etc/wasmlet/log-server/node.pem"
KUBECONFIG: Final = "etc/wasmlet/log-server/kubeconfig"
_HIDDEN: Final = ("/home/", "/root/", "/run/user/")
UNITS: Final = ("wasmlet-executor", "wasmlet-log-server")
EXECUTOR_READS: Final = (
    "etc/wasmlet/executor/token",
    "etc/wasmlet/executor/env",
    "etc/wasmlet/bus-ca.crt",
    "etc/systemd/system/wasmlet-executor.service",
)
"""What the executor is started anew for where it has changed, and with it its pods."""
_HARDENED: Final = """\
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
ProtectKernelModules=yes
RestrictSUIDSGID=yes
LimitCORE=0
Restart=always
RestartSec=2
"""


class MachineFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file; its owner is root where none is named."""

    content: bytes
    mode: int = 0o644
    owner: str = ""

    def __repr__(self) -> str:
        return f"MachineFile(owner={self.owner!r})"  # the content may be a credential


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator of the machine decides."""

    root: str = "/"
    address: str = ""
    kubelet_port: int = 10250
    python: str = sys.executable


def hidden(paths: Iterable[str]) -> str | None:
    """Return the first of these paths that the units, by ProtectHome, would not see."""
    return next((each for each in paths if f"{each}/".startswith(_HIDDEN)), None)


def files(enrolment: Enrolment, identity: bytes, machine: Machine) -> dict[str, MachineFile]:
    """Return the files by their path below the root."""
    made = {
        "etc/wasmlet/executor/token": _of(EXECUTOR_USER, enrolment.credential(Role.WASM_EXECUTOR)),
        "etc/wasmlet/executor/env": _of(EXECUTOR_USER, _env(_executor(enrolment, machine))),
        "etc/wasmlet/log-server/token": _of(LOG_SERVER_USER, enrolment.credential(Role.LOG_SERVER)),
        "etc/wasmlet/log-server/env": _of(LOG_SERVER_USER, _env(_log_server(enrolment, machine))),
        IDENTITY: MachineFile(content=identity, mode=0o600, owner=LOG_SERVER_USER),
        KUBECONFIG: _of(LOG_SERVER_USER, _kubeconfig(enrolment, machine)),
        "usr/lib/sysusers.d/wasmlet.conf": _plain(_sysusers()),
        "etc/systemd/system/wasmlet-executor.service": _plain(_executor_unit(machine)),
        "etc/systemd/system/wasmlet-log-server.service": _plain(_log_server_unit(machine)),
        "etc/systemd/system/wasmlet-renew.service": _plain(_renew_unit(machine)),
        "etc/systemd/system/wasmlet-renew.timer": _plain(_renew_timer()),
    }
    authorities = {"cluster": enrolment.authority, "bus": enrolment.nats_authority}
    return made | {
        f"etc/wasmlet/{whose}-ca.crt": _plain(pem) for whose, pem in authorities.items() if pem
    }


def _of(owner: str, text: str) -> MachineFile:
    return MachineFile(content=text.encode(), mode=0o600, owner=owner)


def _plain(text: str) -> MachineFile:
    return MachineFile(content=text.encode())


def _env(settings: dict[str, str]) -> str:
    return "".join(f"WASMLET_{name}={value}\n" for name, value in settings.items())


def _bus(enrolment: Enrolment, machine: Machine, folder: str) -> dict[str, str]:
    told = {
        "NATS_URL": enrolment.nats_url,
        "NATS_TOKEN_FILE": f"{machine.root}etc/wasmlet/{folder}/token",
        "LOG_FORMAT": "json",
    }
    if enrolment.nats_authority:
        told["NATS_CA_FILE"] = f"{machine.root}etc/wasmlet/bus-ca.crt"
    return told


def _executor(enrolment: Enrolment, machine: Machine) -> dict[str, str]:
    return _bus(enrolment, machine, "executor") | {
        "NODE_NAME": enrolment.node,
        "DATA_DIR": f"{machine.root}var/lib/wasmlet",
        "RUN_DIR": f"{machine.root}run/wasmlet",
        "LOG_ROOT": f"{machine.root}var/log/wasmlet",
    }


def _log_server(enrolment: Enrolment, machine: Machine) -> dict[str, str]:
    told = {
        "KUBECONFIG": f"{machine.root}{KUBECONFIG}",
        "NODE_NAMES": enrolment.node,
        "KUBELET_PORT": str(machine.kubelet_port),
        "RUN_DIR": f"{machine.root}run/wasmlet-log-server",
        "CERTIFICATE_MODE": "csr",
    }
    if machine.address:
        told["NODE_ADDRESS"] = machine.address
    return _bus(enrolment, machine, "log-server") | told


def _kubeconfig(enrolment: Enrolment, machine: Machine) -> str:
    identity = f"{machine.root}{IDENTITY}"
    cluster = {"server": enrolment.server}
    if enrolment.authority:
        cluster["certificate-authority"] = f"{machine.root}etc/wasmlet/cluster-ca.crt"
    user = {"client-certificate": identity, "client-key": identity}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "node",
        "clusters": [{"name": "cluster", "cluster": cluster}],
        "contexts": [{"name": "node", "context": {"cluster": "cluster", "user": "node"}}],
        "users": [{"name": "node", "user": user}],
    }
    return yaml.safe_dump(document, sort_keys=False)


def _sysusers() -> str:
    return f'u {EXECUTOR_USER} - "wasmlet executor"\nu {LOG_SERVER_USER} - "wasmlet log-server"\n'


def _executor_unit(machine: Machine) -> str:
    return f"""[Unit]
Description=wasmlet: runs the pods of this machine's node
After=network-online.target
Wants=network-online.target

[Service]
User={EXECUTOR_USER}
EnvironmentFile={machine.root}etc/wasmlet/executor/env
ExecStart="{machine.python}" -m wasm_executor
StateDirectory=wasmlet
LogsDirectory=wasmlet
RuntimeDirectory=wasmlet
RuntimeDirectoryMode=0700
# The keeper stops its containers within their grace, and the rest of the group after it.
KillMode=mixed
TimeoutStopSec=120
{_HARDENED}
[Install]
WantedBy=multi-user.target
"""


def _log_server_unit(machine: Machine) -> str:
    return f"""[Unit]
Description=wasmlet: the kubelet API of this machine's node
After=network-online.target
Wants=network-online.target

[Service]
User={LOG_SERVER_USER}
EnvironmentFile={machine.root}etc/wasmlet/log-server/env
ExecStart="{machine.python}" -m log_server
RuntimeDirectory=wasmlet-log-server
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=restart
{_HARDENED}
[Install]
WantedBy=multi-user.target
"""


def _renew_unit(machine: Machine) -> str:
    return f"""[Unit]
Description=wasmlet: renews this machine's identity in the cluster when it is time

[Service]
Type=oneshot
User={LOG_SERVER_USER}
ExecStart="{machine.python}" -m wasmlet node renew --root "{machine.root}"
ReadWritePaths={machine.root}etc/wasmlet/log-server
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
LimitCORE=0
"""


def _renew_timer() -> str:
    return """[Unit]
Description=wasmlet: looks at this machine's identity each day

[Timer]
OnCalendar=daily
RandomizedDelaySec=4h
Persistent=yes

[Install]
WantedBy=timers.target
"""
