"""Which command there is in a container: its own module, and no other program."""

import pytest
from exec_rig import C

from contract.messages.pod import ContainerPlan
from wasm_executor.supervisor.programs import ProgramNotFoundError, require_program


def plan(image: str, *command: str) -> ContainerPlan:
    return ContainerPlan(name=C, image=image, command=command)


@pytest.mark.parametrize(
    ("container", "wanted"),
    [
        (plan("registry.example:5000/team/hello:1.2"), "hello"),
        (plan("hello@sha256:0000"), "/usr/bin/hello"),
        (plan("file:/srv/guests/hello.wasm"), "hello.wasm"),
        (plan("hello", "/app/server", "--port"), "/app/server"),
        (plan("hello", "/app/server"), "server"),
        (plan("hello", "/app/server"), "/other/hello"),
    ],
)
def test_containers_own_module_is_named_by_image_or_command(
    container: ContainerPlan, wanted: str
) -> None:
    require_program(container, [wanted, "-v"])


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (["sh", "-c"], 'exec: "sh": executable file not found in $PATH'),
        ([""], 'exec: "": executable file not found in $PATH'),
        (["--port"], 'exec: "--port": executable file not found in $PATH'),
        (["/bin/sh"], 'exec: "/bin/sh": stat /bin/sh: no such file or directory'),
        (["/data/x.wasm"], 'exec: "/data/x.wasm": stat /data/x.wasm: no such file or directory'),
        (["server/"], 'exec: "server/": stat server/: no such file or directory'),
        ([], "you must specify at least one command for the container"),
    ],
)
def test_everything_else_is_not_found_in_the_words_of_other_runtimes(
    wanted: list[str], said: str
) -> None:
    with pytest.raises(ProgramNotFoundError) as refused:
        require_program(plan("hello", "/app/server", "--port"), wanted)
    assert refused.value.message == said
