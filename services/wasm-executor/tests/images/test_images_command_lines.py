"""What a guest is told of its command line and environment: the pod's word, then the image's."""

from pathlib import Path

import pytest

from contract.ids import ContainerName, PodUid
from contract.messages.pod import ContainerPlan, PodPlan
from wasm_executor.container.plan import ProcessPlan
from wasm_executor.images.records import (
    ArtifactFacts,
    ArtifactKind,
    ImageConfig,
    PreparedImage,
    World,
)
from wasm_executor.supervisor.pods.work import process_plan

FACTS = ArtifactFacts(
    kind=ArtifactKind.MODULE,
    world=World.COMMAND,
    host_types="compared",
    wasm_bytes=0,
    object_bytes=0,
    compile_s=0,
)


def told(
    config: ImageConfig, rootfs: str = "/rootfs", args: str = "", **given: object
) -> ProcessPlan:
    fields = {"name": "main", "image": "registry.example/team/tool:1", "args": tuple(args.split())}
    container = ContainerPlan(**{**fields, **given})  # type: ignore[arg-type]  # by the table
    plan = PodPlan(uid=PodUid("u"), namespace="n", name="p", containers=(container,))
    image = PreparedImage(
        image=container.image,
        image_id="",
        manifest_digest="",
        layer_digest="",
        aot_path=Path("x"),
        facts=FACTS,
        size_bytes=0,
        config=config,
        rootfs=rootfs,
    )
    assert container.name == ContainerName("main")
    return process_plan(plan, container, image, sockets=False)


BOTH = ImageConfig(entrypoint=("/e", "1"), cmd=("c", "2"))
ONLY_CMD = ImageConfig(cmd=("/c", "2"))


@pytest.mark.parametrize(
    ("config", "rootfs", "command", "args", "argv"),
    [
        (BOTH, "/r", "", "", "/e 1 c 2"),
        (BOTH, "/r", "/x y", "", "/x y"),
        (BOTH, "/r", "", "a b", "/e 1 a b"),
        (BOTH, "/r", "/x", "a", "/x a"),
        (ONLY_CMD, "/r", "", "", "/c 2"),
        (ONLY_CMD, "/r", "", "/a b", "/a b"),
        (ONLY_CMD, "/r", "/x", "", "/x"),
        (BOTH, "", "", "", "/e 1 c 2"),
        (ImageConfig(), "", "", "", "tool"),
        (ImageConfig(), "", "", "a b", "tool a b"),
        (ImageConfig(), "", "/x", "a", "/x a"),
        (ImageConfig(), "/files-beside-a-module", "", "", "tool"),
    ],
)
def test_a_command_replaces_the_entrypoint_and_drops_the_images_arguments(
    config: ImageConfig, rootfs: str, command: str, args: str, argv: str
) -> None:
    plan = told(config, rootfs, args, command=tuple(command.split()))
    assert plan.args == tuple(argv.split())


def test_what_the_compiler_has_compared_is_told_to_the_container() -> None:
    assert told(BOTH).artifact.host_types == FACTS.host_types


def test_variables_of_the_pod_win_and_the_working_directory_is_one() -> None:
    config = ImageConfig(env=(("A", "image"), ("B", "image")), working_dir="/from-image")
    env = (("B", "pod"), ("C", "pod"))
    assert dict(told(config, env=env).env) == {
        "PWD": "/from-image",
        "A": "image",
        "B": "pod",
        "C": "pod",
    }
    assert dict(told(config, working_dir="work/x").env)["PWD"] == "/work/x"
    assert dict(told(config, env=(("PWD", "/own"),)).env)["PWD"] == "/own"
    assert told(ImageConfig()).env == ()
