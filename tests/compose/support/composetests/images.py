"""The images that tests need where no public registry answers.

A base with Python 3.13 from Debian's packages, and stand-ins for official images: the programs that
`make control-plane` builds, under the official names.
"""

import hashlib
import os
import shutil
import ssl
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from composetests.engine import Engine, run
from composetests.project import REPOSITORY, services
from controlplane.building import build_control_plane, build_registry
from controlplane.settings import read_settings

BASE: Final = "wasmlet.test/python:3.13"
_DEBOOTSTRAP: Final = (
    "mmdebstrap",
    "--quiet",
    "--variant=minbase",
    "--include=python3,python3-venv,ca-certificates,busybox",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "trixie",
)
# What `setcap cap_net_bind_service=+ep` writes, as Kubernetes' own build does for this program.
_MAY_BIND: Final = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0)
_BASE_FILE: Final = """
FROM wasmlet.test/debian
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
RUN ln -s /usr/bin/busybox /usr/local/bin/wget
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt
"""


def build_base(engine: Engine) -> None:
    """BASE, trusting whom this machine trusts: its registries may be behind a proxy of its own."""
    engine.docker("import", str(_debian()), "wasmlet.test/debian")
    certificates = ssl.get_default_verify_paths().cafile
    assert certificates is not None
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(certificates, Path(folder) / "ca-certificates.crt")
        (Path(folder) / "Dockerfile").write_text(_BASE_FILE)
        engine.docker("build", "--quiet", "--network=host", f"--tag={BASE}", folder)


def build_own(engine: Engine) -> str:
    """The services' images and the jobs', by `make`; returns what it prints."""
    make = ["make", "images", "image-compose-jobs", "BUILDER=docker", f"BASE={BASE}"]
    return run([*make, "IMAGE_ARGS=--network=host"], engine.environ, cwd=REPOSITORY)


def build_stand_ins(engine: Engine) -> None:
    """Under the names in compose.yaml, with their programs where those have them."""
    control_plane = build_control_plane()
    images = {name: service["image"] for name, service in services().items()}
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        build_with(engine, images[name], "scratch", Path(control_plane.path(name)))
    build_with(engine, images["registry"], BASE, Path(build_registry().path("registry")))
    build_with(engine, images["nats"], BASE, Path(sys.executable).parent / "nats-server")
    prometheus = shutil.which("prometheus")  # Debian's; Grafana has no package
    if prometheus is not None:
        build_with(engine, images["prometheus"], BASE, Path(prometheus))


def build_with(engine: Engine, image: str, base: str, program: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        copied = shutil.copy(program, folder)
        if program.name == "kube-apiserver":
            os.setxattr(copied, "security.capability", _MAY_BIND)
        copy = f"COPY {program.name} /usr/local/bin/{program.name}"
        path = "ENV PATH=/usr/local/bin:/usr/bin:/bin"
        (Path(folder) / "Dockerfile").write_text(f"FROM {base}\n{copy}\n{path}\n")
        engine.docker("build", "--quiet", f"--tag={image}", folder)


def _debian() -> Path:
    """The base's files, from the cache: they take minutes."""
    digest = hashlib.sha256(" ".join(_DEBOOTSTRAP).encode()).hexdigest()[:16]
    place = read_settings().cache_home / "wasmlet" / "test-base" / f"{digest}.tar"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.with_name(f"{digest}.{os.getpid()}.tar")
        mirror = "http://deb.debian.org/debian"
        subprocess.run([*_DEBOOTSTRAP, str(draft), mirror], check=True, stdin=subprocess.DEVNULL)
        draft.rename(place)
    return place
