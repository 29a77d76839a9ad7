"""Variables whose values are in files: the kubelet's parser, and what hostile files come to."""

import os
from pathlib import Path

import pytest
from volume_rig import UID, VolumeRig, container, mount, pod, volume_rig

from contract.messages.pod import ContainerPlan, FileVariable, PodPlan, file_variable_mark
from contract.messages.volume import EmptyDir
from wasm_executor.volumes.envfiles import EnvFileError, value_in
from wasm_executor.volumes.errors import ContainerMountError

FIRST, SECOND = file_variable_mark(0), file_variable_mark(1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("K='v'", "v"),
        ("  \tK='v'\n", "v"),
        ("# K='no'\n\n  # more\nK='v' # why\n", "v"),
        ("K='first'\nK='second'\n", "first"),
        ("OTHER='x'\n", ""),
        ("", ""),
        ("K=''\n", ""),
        ("K='a#b \"c\" $D \\n'\n", 'a#b "c" $D \\n'),
        ("K='one\n# two\n\nthree'\nL='x'\n", "one\n# two\n\nthree"),
        ("K= 'v'\n", ""),
        ("A=\tb\nK='v'\r\n", "v"),
        ("K='v'\nbroken\n", "v"),
        ("K='='\n", "="),
    ],
)
def test_files_are_read_as_the_kubelet_reads_them(text: str, value: str) -> None:
    assert value_in(text, "K") == value


@pytest.mark.parametrize(
    "text",
    ["K", "='v'", "K ='v'", "K=v", 'K="v"', "K='v", "K='v'x", "K='v''w'", "broken\nK='v'"],
)
def test_what_a_shell_would_read_otherwise_is_refused(text: str) -> None:
    with pytest.raises(EnvFileError):
        value_in(text, "K")


def variable(
    key: str = "K",
    name: str = "V",
    path: str = "env",
    *,
    optional: bool = False,
    before: str | None = None,
) -> FileVariable:
    return FileVariable(name=name, volume="e", path=path, key=key, optional=optional, before=before)


async def rig_with(folder: Path, content: str, one: ContainerPlan) -> tuple[VolumeRig, PodPlan]:
    rig = volume_rig(folder)
    plan = pod(one, e=EmptyDir())
    await rig.volumes.prepare(plan)
    (rig.empty_dir_of("e") / "env").write_text(content)
    return rig, plan


async def read(folder: Path, content: str, one: ContainerPlan) -> ContainerPlan:
    rig, plan = await rig_with(folder, content, one)
    return rig.volumes.variables.read(plan, one, 0)


async def test_a_value_is_put_wherever_its_mark_is(tmp_path: Path) -> None:
    one = container(
        mount("e", "/x", f"of-{FIRST}"),
        env=(("A", "a"), ("V", FIRST), ("W", f"<{FIRST}{FIRST}>")),
        command=("run", FIRST),
        args=(f"--v={FIRST}",),
        file_variables=(variable(),),
    )
    made = await read(tmp_path, "K='it'\n", one)
    assert made.env == (("A", "a"), ("V", "it"), ("W", "<itit>"))
    assert (made.command, made.args) == (("run", "it"), ("--v=it",))
    assert made.mounts[0].sub_path == "of-it"
    assert made.file_variables == ()


async def test_what_a_file_holds_is_no_mark(tmp_path: Path) -> None:
    both = (variable("K"), variable("L", "W"))
    one = container(env=(("V", FIRST), ("W", SECOND)), file_variables=both)
    made = await read(tmp_path, f"K='{SECOND}'\nL='secret'\n", one)
    assert made.env == (("V", SECOND), ("W", "secret"))


async def test_an_optional_one_that_is_not_there_is_no_variable(tmp_path: Path) -> None:
    one = container(
        env=(("V", FIRST), ("W", f"<{FIRST}>")), file_variables=(variable("GONE", optional=True),)
    )
    assert (await read(tmp_path, "K='it'\n", one)).env == (("W", "<$(V)>"),)


async def test_an_optional_one_that_is_not_there_leaves_what_was_before(tmp_path: Path) -> None:
    given = (
        variable("K"),
        variable("GONE", optional=True, before=f"{FIRST}+"),
        variable("GONE", "W", optional=True, before="own"),
    )
    third = file_variable_mark(2)
    one = container(env=(("V", SECOND), ("W", third)), file_variables=given)
    assert (await read(tmp_path, "K='it'\n", one)).env == (("V", "it+"), ("W", "own"))


async def test_two_of_one_name_that_are_not_there_are_no_variable(tmp_path: Path) -> None:
    given = (
        variable("GONE", optional=True),
        variable("GONE", optional=True, before=FIRST),
    )
    one = container(env=(("V", SECOND),), file_variables=given)
    assert (await read(tmp_path, "", one)).env == ()


@pytest.mark.parametrize(
    ("content", "given", "message"),
    [
        ("broken", variable(), "couldn't parse env file"),
        ("K='v'", variable(path="gone"), "couldn't parse env file"),
        ("K='v'", variable(path="gone", optional=True), "couldn't parse env file"),
        ("x" * (1024 * 1024 + 1), variable(), "couldn't parse env file"),
        ("K='v'", variable("L"), 'environment variable key "L" not found in file "e/env"'),
        ("K=''", variable(), 'environment variable key "K" not found in file "e/env"'),
    ],
)
async def test_what_cannot_be_read_holds_the_container_with_the_kubelets_words(
    tmp_path: Path, content: str, given: FileVariable, message: str
) -> None:
    with pytest.raises(ContainerMountError) as refused:
        await read(tmp_path, content, container(env=(("V", FIRST),), file_variables=(given,)))
    assert refused.value.message == message


async def test_a_volume_that_is_not_there_is_named(tmp_path: Path) -> None:
    other = FileVariable(name="V", volume="other", path="env", key="K")
    with pytest.raises(ContainerMountError) as refused:
        await read(tmp_path, "", container(env=(("V", FIRST),), file_variables=(other,)))
    assert refused.value.message == 'cannot find the volume "other" referenced by FileKeyRef'


async def test_a_sub_path_of_what_is_not_there_holds_the_container(tmp_path: Path) -> None:
    gone = variable("GONE", optional=True)
    one = container(mount("e", "/x", FIRST), env=(("V", FIRST),), file_variables=(gone,))
    with pytest.raises(ContainerMountError) as refused:
        await read(tmp_path, "", one)
    assert refused.value.message == "missing value for V"


@pytest.mark.parametrize("kind", ["symlink", "fifo", "folder"])
async def test_nothing_but_a_file_of_the_volume_is_read(tmp_path: Path, kind: str) -> None:
    outside = tmp_path / "outside"
    outside.write_text("K='of the node'\n")
    one = container(env=(("V", FIRST),), file_variables=(variable(path="odd"),))
    rig, plan = await rig_with(tmp_path, "", one)
    odd = rig.empty_dir_of("e") / "odd"
    make = {"symlink": lambda: odd.symlink_to(outside), "folder": odd.mkdir}
    make.get(kind, lambda: os.mkfifo(odd))()
    with pytest.raises(ContainerMountError, match="couldn't parse env file"):
        rig.volumes.variables.read(plan, one, 0)


async def test_an_exec_has_the_values_of_the_runs_start_until_it_is_dropped(tmp_path: Path) -> None:
    one = container(env=(("V", FIRST),), file_variables=(variable(),))
    rig, plan = await rig_with(tmp_path, "K='before'\n", one)
    rig.volumes.variables.read(plan, one, 3)
    (rig.empty_dir_of("e") / "env").write_text("K='after'\n")
    assert rig.volumes.variables.find(plan, one, 3).env == (("V", "before"),)
    rig.volumes.take_run(UID, one.name, 3)
    assert rig.volumes.variables.find(plan, one, 3).env == ()
