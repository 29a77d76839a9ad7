"""The files that a pod's containers find in `/etc`: hosts, hostname, resolv.conf.

They are made once for a pod, on tmpfs, before its first container starts, and all of its containers
see the same folder, read-only. They stay as they are while the pod lives. A container that mounts
something below `/etc` has copies of them beside its mounts; one that mounts a folder at `/etc` or
at `/` has what is in there instead.
"""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from contract.messages.naming import DnsConfig, Naming
from contract.messages.pod import ContainerPlan, PodPlan
from wasm_executor.container.plan import Preopen
from wasm_executor.errors import ExecutorError
from wasm_executor.volumes.folders import Folders
from wasm_executor.volumes.hosts import hosts_of
from wasm_executor.volumes.layout import FileGroup, guest_path_of
from wasm_executor.volumes.resolving import parsed, resolver_of
from wasm_executor.volumes.world import ROOT, Shown

log = structlog.get_logger()

ETC: Final = "/etc"
NODE_HOSTS: Final = Path("/etc/hosts")
_WRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_MODE: Final = 0o644
_FOLDER_MODE: Final = 0o755


class EtcFilesError(ExecutorError):
    """They cannot be made; the container waits, as for a kubelet's."""


class EtcFiles:
    """`resolv_conf` and `node_hosts` are this machine's files."""

    def __init__(self, folders: Folders, resolv_conf: Path, node_hosts: Path = NODE_HOSTS) -> None:
        self._folders = folders
        self._resolv_conf = resolv_conf
        self._node_hosts = node_hosts

    def make(self, plan: PodPlan) -> tuple[str, ...]:
        """Have a pod's files; return what is to be warned of, once. Raise `EtcFilesError`."""
        if plan.naming is None:
            return ()
        folder = self._folders.etc(plan.uid)
        if os.path.isdir(folder):  # noqa: PTH112 - on the way of every start
            return ()
        files, warnings = self._content(plan.naming, plan.pod_ip)
        partial = f"{folder}.partial"
        try:
            with suppress(FileExistsError):  # an earlier try, or a crash
                os.makedirs(partial, _FOLDER_MODE)  # noqa: PTH103 - as above
            for name, content in files.items():
                _write(f"{partial}/{name}", content)
            os.rename(partial, folder)  # noqa: PTH104 - as above
        except OSError as error:
            raise EtcFilesError(f"failed to write the files of /etc: {error.strerror}") from error
        return warnings

    def preopens(self, plan: PodPlan, container: ContainerPlan) -> tuple[Preopen, ...]:
        """Return what a container's processes see of them."""
        folder = self._folders.etc(plan.uid)
        if any(guest_path_of(each) == ROOT for each in container.mounts):
            return ()
        if plan.naming is None or not os.path.isdir(folder):  # noqa: PTH112 - as above
            return ()
        return (Preopen(host_path=folder, guest_path=ETC, read_only=True),)

    def _content(self, naming: Naming, pod_ip: str) -> tuple[dict[str, bytes], tuple[str, ...]]:
        node_hosts = self._hosts_of_node() if naming.hosts_of_node else ""
        full = f"{naming.hostname}.{naming.domain}"
        resolver = resolver_of(naming.dns, self._resolver_of_node())
        files = {
            "hosts": hosts_of(naming, pod_ip, node_hosts).encode(errors="surrogateescape"),
            "hostname": f"{full if naming.hostname_is_full else naming.hostname}\n".encode(),
            "resolv.conf": resolver.text.encode(errors="surrogateescape"),
        }
        return files, resolver.warnings

    def _hosts_of_node(self) -> str:
        try:
            return self._node_hosts.read_text(errors="surrogateescape")
        except OSError as error:
            raise EtcFilesError(f"open {self._node_hosts}: {error.strerror}") from error

    def _resolver_of_node(self) -> DnsConfig:
        """A machine without such a file has no resolver; its guests need none to run."""
        try:
            return parsed(self._resolv_conf.read_text(errors="surrogateescape"))
        except OSError as error:
            log.warning("resolv_conf.not_read", path=str(self._resolv_conf), reason=error.strerror)
            return DnsConfig()


def with_etc_files(
    shown: Sequence[Shown], groups: Sequence[FileGroup], others: Sequence[Preopen], folder: str
) -> list[Shown]:
    """Put copies beside files that are mounted in `/etc`, or in `folder` for mounts below it."""
    etc = next((each for each in others if each.guest_path == ETC and each.read_only), None)
    places = {each.preopen.guest_path: each.preopen.host_path for each in shown}
    if etc is None or not any(f"{each}/".startswith(f"{ETC}/") for each in places):
        return list(shown)
    if ETC not in places:
        os.makedirs(folder, _FOLDER_MODE)  # noqa: PTH103 - as above
        _copy(etc.host_path, folder)
        own = Preopen(host_path=folder, guest_path=ETC, read_only=True)
        return [*shown, Shown(own, takes_folders=True)]
    if any(each.guest_path == ETC for each in groups):
        _copy(etc.host_path, places[ETC])
    return list(shown)


def _copy(source: str, target: str) -> None:
    with os.scandir(source) as files:
        for each in files:
            path = f"{target}/{each.name}"
            if os.path.lexists(path):  # a mounted file wins
                continue
            if each.is_file(follow_symlinks=False):
                _write(path, Path(each.path).read_bytes())
            elif each.is_dir(follow_symlinks=False):  # an image's
                shutil.copytree(each.path, path, symlinks=True)
            else:
                os.symlink(os.readlink(each.path), path)  # noqa: PTH115, PTH211 - as above


def _write(path: str, content: bytes) -> None:
    descriptor = os.open(path, _WRITE, _FILE_MODE)
    try:
        os.fchmod(descriptor, _FILE_MODE)
        while content:
            content = content[os.write(descriptor, content) :]
    finally:
        os.close(descriptor)
