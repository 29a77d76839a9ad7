"""The images of an installation, built here and handed to a container runtime as one file."""

import sys
import tempfile
from pathlib import Path
from typing import Final

from composetests.engine import Engine, run
from composetests.images import BASE, build_base, build_with
from composetests.project import services

from controlplane.building import REPOSITORY
from realnode.configuration import PAUSE

OWN: Final = ("node-registrar", "pod-reconciler", "wasm-executor", "log-server")
PREFIX: Final = "wasmlet"
TAG: Final = "dev"
NATS: Final[str] = services()["nats"]["image"]
_PAUSE_FILE: Final = f"""
FROM {BASE}
ENTRYPOINT ["/usr/bin/busybox", "sleep", "2147483647"]
"""


def write_archive(engine: Engine, into: Path) -> None:
    """Ours by `make images`; stand-ins for NATS and for what holds a pod's namespaces."""
    build_base(engine)
    make = ["make", "images", "BUILDER=docker", f"BASE={BASE}", "IMAGE_ARGS=--network=host"]
    run([*make, f"IMAGE_PREFIX={PREFIX}", f"IMAGE_TAG={TAG}"], engine.environ, cwd=REPOSITORY)
    build_with(engine, NATS, BASE, Path(sys.executable).parent / "nats-server")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Dockerfile").write_text(_PAUSE_FILE)
        engine.docker("build", "--quiet", f"--tag={PAUSE}", folder)
    own = [f"{PREFIX}/{name}:{TAG}" for name in OWN]
    engine.docker("save", f"--output={into}", *own, NATS, PAUSE)
