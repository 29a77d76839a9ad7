"""Last words on a disk, without an executor."""

import time
from pathlib import Path

from contract.ids import ContainerName, PodUid
from contract.messages.pod import ContainerPlan, MessagePolicy, PodPlan
from wasm_executor.keeper.logfile import CriFormatter, LogFile
from wasm_executor.settings import ExecutorSettings
from wasm_executor.supervisor.pods.lastwords import LastWords
from wasm_executor.supervisor.pods.runs import log_path
from wasm_executor.volumes.volumes import Volumes

UID = PodUid("0b5e4a52-0000-4000-8000-000000000001")
C = ContainerName("c")
RUN = 3
FALLBACK = MessagePolicy.FALLBACK_TO_LOGS


async def no_blobs(digest: str) -> bytes:
    raise AssertionError(digest)


class Desk:
    """Last words on a disk, and the file of one run."""

    def __init__(self, folder: Path) -> None:
        self.settings = ExecutorSettings(
            node_name="n", data_dir=folder / "data", run_dir=folder / "run", log_root=folder / "log"
        )
        volumes = Volumes(self.settings.data_dir, self.settings.run_dir, no_blobs)
        self.words = LastWords(self.settings, volumes)

    def prepare(self, path: str = "/dev/termination-log") -> Path:
        container = ContainerPlan(name=C, image="x", message_path=path)
        (preopen,) = self.words.prepare(UID, container, RUN)
        return Path(preopen.host_path) / Path(path).name

    def read(
        self,
        exit_code: int = 1,
        policy: MessagePolicy = MessagePolicy.FILE,
        path: str = "/dev/termination-log",
    ) -> str:
        container = ContainerPlan(name=C, image="x", message_path=path, message_policy=policy)
        return self.words.read(self.pod(container), container, RUN, exit_code)

    def pod(self, container: ContainerPlan) -> PodPlan:
        return PodPlan(uid=UID, namespace="default", name="p", containers=(container,))

    def log(self, content: bytes, max_bytes: int = 1 << 20) -> None:
        """Write what the keeper would have written."""
        path = log_path(self.settings.log_root, self.pod(ContainerPlan(name=C, image="x")), C, RUN)
        file = LogFile(path, max_bytes=max_bytes, max_files=100)
        formatter = CriFormatter("stdout")
        for line in content.splitlines(keepends=True):
            file.write(formatter.feed(line, time.time_ns()))
        file.write(formatter.finish(time.time_ns()))
        file.close()
