"""Join this machine to a cluster as a node, and renew what proves that it is one.

A key is born here, and only a request for its certificate leaves the machine.
"""

import datetime as dt
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kubekit.client import Api, api_client, connected
from kubekit.errors import KubekitError
from kubekit.kubeconfig import Connection
from kubekit.signingrequests import KUBELET_CLIENT, Wanted, signed
from wasmlet.errors import CommandLineError
from wasmlet.node.enrolment import Enrolment
from wasmlet.node.machine_files import (
    EXECUTOR_READS,
    IDENTITY,
    KUBECONFIG,
    UNITS,
    Machine,
    MachineFile,
    files,
    hidden,
)

LIFETIME_S: Final = 365 * 24 * 3600.0
CHANGED: Final = "etc/wasmlet/executor-changed"
"""A mark: the executor has not been started since what it reads has changed."""
RENEW_AT: Final = 0.7
"""The part of its life after which an identity is renewed; it is looked at each day."""


class JoinOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, checked."""

    machine: Machine
    start: bool = True
    within_s: float = 120.0

    @property
    def of_system(self) -> bool:
        """Whether this is the running system, which has users and units."""
        return self.machine.root == "/"


async def join(enrolment: Enrolment, options: JoinOptions) -> int:
    """Return 0 once the machine's services run, or, unless told to start them, are ready to."""
    if options.of_system:
        _refuse_unfit_system(options)
        _refuse_hidden_python()
    authority = enrolment.authority.encode() or None
    connection = Connection(server=enrolment.server, authority=authority, token=enrolment.token)
    try:
        async with connected(connection, user_agent="wasmlet") as api:
            identity = await _identity(api, enrolment.node, options.within_s)
    except KubekitError as error:
        raise CommandLineError(f"{enrolment.node} cannot join: {error}") from error
    made = files(enrolment, identity, options.machine)
    try:
        with _others_may_pass():
            _install(made, options)
    except OSError as error:
        raise CommandLineError(f"cannot write what a node needs: {error}") from error
    sys.stdout.write(f"{enrolment.node} has joined\n")
    return 0


def _install(made: Mapping[str, MachineFile], options: JoinOptions) -> None:
    root = Path(options.machine.root)
    if options.of_system:
        _make_users(made)
        # Before the first is written: what fails half-way is known by it to who tries again.
        if not all(_holds(root / path, made[path]) for path in EXECUTOR_READS if path in made):
            _write(root / CHANGED, MachineFile(content=b""), owned=False)
    for path, file in made.items():
        _write(root / path, file, owned=options.of_system)
    if options.of_system and options.start:
        _start(root / CHANGED)


def _holds(path: Path, file: MachineFile) -> bool:
    return path.is_file() and path.read_bytes() == file.content


@contextmanager
def _others_may_pass() -> Iterator[None]:
    """Make folders that the services' users can go through, whatever root's umask is."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


def _refuse_unfit_system(options: JoinOptions) -> None:
    """Raise `CommandLineError` before the word is used where its services could not be started."""
    programs = ["systemd-sysusers", *(["systemctl"] if options.start else [])]
    if os.geteuid() != 0:
        raise CommandLineError("only root can make this machine a node")
    for program in programs:
        if shutil.which(program) is None:
            raise CommandLineError(f"this machine has no {program}: its services run by systemd")


def _refuse_hidden_python() -> None:
    """Raise `CommandLineError` where the units could not start this Python."""
    own = (sys.executable, str(Path(sys.executable).resolve()), sys.prefix, sys.base_prefix)
    found = hidden((*own, str(Path(__file__).resolve())))
    if found is not None:
        raise CommandLineError(f"units see nobody's home, where {found} is: install Python in /opt")


async def renew(root: str, within_s: float = 120.0, *, at: float = RENEW_AT) -> int:
    """Renew the identity if that is due, and return 0."""
    path = Path(root) / IDENTITY
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CommandLineError(f"no identity of a node in {path}: {error}") from error
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if dt.datetime.now(dt.UTC) < start + (end - start) * at:
        sys.stdout.write(f"good until {end:%Y-%m-%d}\n")
        return 0
    (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    node = str(name.value).removeprefix("system:node:")
    try:
        async with api_client(Path(root) / KUBECONFIG, user_agent="wasmlet") as api:
            identity = await _identity(api, node, within_s)
        _write(path, MachineFile(content=identity, mode=0o600), owned=False)
    except (KubekitError, OSError) as error:
        raise CommandLineError(f"the identity of {node} cannot be renewed: {error}") from error
    sys.stdout.write(f"renewed the identity of {node}\n")
    return 0


async def _identity(api: Api, node: str, within_s: float) -> bytes:
    """Return a new key and the certificate that makes it this node's, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{node}"),
        ]
    )
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    wanted = Wanted(
        prefix=f"wasmlet-{node}-"[:240],
        request=request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM),
        signer=KUBELET_CLIENT,
        usages=("digital signature", "client auth"),
        lifetime_s=LIFETIME_S,
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return key_pem + await signed(api, wanted, within_s)


def _write(path: Path, file: MachineFile, *, owned: bool) -> None:
    """Write in one step, never readable for others in between.

    The folder may be the service's own, who could have put a link there that leads elsewhere.
    """
    folder_mode = 0o700 if file.owner else 0o755
    path.parent.mkdir(parents=True, exist_ok=True, mode=folder_mode)
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file.mode)
    with os.fdopen(descriptor, "wb") as out:
        os.fchmod(out.fileno(), file.mode)
        out.write(file.content)
        if owned and file.owner:
            shutil.chown(out.fileno(), file.owner, file.owner)
            shutil.chown(path.parent, file.owner, file.owner)
    partial.replace(path)


def _make_users(made: Mapping[str, MachineFile]) -> None:
    path = "usr/lib/sysusers.d/wasmlet.conf"
    _write(Path("/") / path, made[path], owned=False)
    _run("systemd-sysusers", f"/{path}")


def _start(changed: Path) -> None:
    """Start the services; those of an earlier word, which run already, go on by this one.

    The executor's pods end with it, so it is started anew only for what has changed.
    """
    _run("systemctl", "daemon-reload")
    executor, *others = (*(f"{unit}.service" for unit in UNITS), "wasmlet-renew.timer")
    _run("systemctl", "enable", executor, *others)
    if changed.exists() and _is_active(executor):
        sys.stdout.write(f"{executor} starts anew, as its settings changed, and its pods with it\n")
    _run("systemctl", "restart" if changed.exists() else "start", executor)
    changed.unlink(missing_ok=True)
    _run("systemctl", "restart", *others)


def _is_active(unit: str) -> bool:
    return subprocess.run(("systemctl", "is-active", "--quiet", unit), check=False).returncode == 0


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise CommandLineError(f"{' '.join(command)}: {done.stderr.strip()}")
