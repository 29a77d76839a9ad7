"""Files that describe runtime programs: what they may say, and what a bad one costs."""

from pathlib import Path

import msgspec
import pytest

from contract.ids import ContainerName
from contract.messages.pod import ContainerPlan
from contract.messages.volume import Mount
from wasm_executor.container.plan import ArtifactKind
from wasm_executor.supervisor.externals import ExternalError, load_external, load_externals

EXAMPLES = Path(__file__).parents[4] / "examples" / "external-runtimes"
CONTAINER = ContainerPlan(name=ContainerName("app"), image="registry/app:1")


def written(folder: Path, text: str, handler: str = "one") -> Path:
    (folder / f"{handler}.toml").write_text(text)
    return folder / f"{handler}.toml"


PROGRAM = 'program = "true"\ncommand = ["${MODULE}"]\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("program = [", "Invalid"),
        ('program = "true"', "missing required field `command`"),
        (PROGRAM + "colour = 1", "unknown field `colour`"),
        (PROGRAM + 'network = "some"', "Invalid enum value 'some'"),
        ('program = "true"\ncommand = ["run"]', r"name \$\{MODULE\} once"),
        ('program = "true"\ncommand = ["${MODULE}", "-${ARGS}"]', r"\$\{ARGS\} has no meaning"),
        ('program = "true"\ncommand = ["${MODULE}", "${ENV}"]', r"\$\{ENV\} has no meaning"),
        (PROGRAM + 'mount = ["--dir=${HOST}"]', "`mount` and"),
        (PROGRAM + 'reads = ["lib"]', "no absolute path"),
        (PROGRAM.replace("true", "no-such-program"), "no program 'no-such-program'"),
        (PROGRAM.replace("true", "false"), "exit code 1"),
    ],
)
def test_a_bad_file_is_one_clear_line(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ExternalError, match=problem) as caught:
        load_external(written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_bad_file_costs_its_handler_alone(tmp_path: Path) -> None:
    written(tmp_path, PROGRAM, "good")
    written(tmp_path, "program = [", "bad")
    written(tmp_path, PROGRAM, "wasi")
    assert set(load_externals(tmp_path, {"wasi"})) == {"good"}
    assert load_externals(None, ()) == {}
    assert load_externals(tmp_path / "nowhere", ()) == {}


def test_what_a_program_cannot_give_is_refused(tmp_path: Path) -> None:
    with_volume = msgspec.structs.replace(CONTAINER, mounts=(Mount(volume="v", path="/v"),))
    modules = load_external(written(tmp_path, PROGRAM + 'kinds = ["module"]\nnetwork = "all"'))
    with pytest.raises(ExternalError, match="runs no component"):
        modules.for_container(CONTAINER, ArtifactKind.COMPONENT, sockets=True)
    with pytest.raises(ExternalError, match="no way to pass volumes"):
        modules.for_container(with_volume, ArtifactKind.MODULE, sockets=True)
    with pytest.raises(ExternalError, match="WASMLET_GUEST_SOCKETS"):
        modules.for_container(CONTAINER, ArtifactKind.MODULE, sockets=False)


def test_the_files_that_ship_are_files(tmp_path: Path) -> None:
    """Their programs are not here: stand-ins take their place for the probe."""
    for path in sorted(EXAMPLES.glob("*.toml")):
        text = path.read_text()
        stand_in = text.replace('program = "', f'program = "{tmp_path}/')
        name = next(line for line in text.splitlines() if line.startswith("program")).split('"')[1]
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
        load_external(written(tmp_path, stand_in, path.stem))
    assert len(list(EXAMPLES.glob("*.toml"))) >= 3
