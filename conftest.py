"""For all tests: a deadline after which no further slow test is started, and a record of the end.

`dev/failed_again.py` reads the record: a session without one did not come to its end.
"""

import time

import pytest

NOT_STARTED = pytest.StashKey[list[str]]()
EXIT_CODE = "wasmlet/exit_code"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--deadline",
        type=float,
        default=None,
        help="epoch seconds after which no further test is started; what did not start is listed",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[NOT_STARTED] = []


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    deadline = item.config.getoption("--deadline")
    if deadline is not None and time.time() > deadline:
        item.config.stash[NOT_STARTED].append(item.nodeid)
        pytest.skip("no time left before the deadline")


def pytest_sessionstart(session: pytest.Session) -> None:
    record(session.config, None)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int | pytest.ExitCode) -> None:
    record(session.config, int(exitstatus))


def record(config: pytest.Config, code: int | None) -> None:
    if (cache := getattr(config, "cache", None)) is not None:  # `-p no:cacheprovider` makes none
        cache.set(EXIT_CODE, code)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    left = terminalreporter.config.stash[NOT_STARTED]
    if left:
        terminalreporter.section("not started: no time left")
        for name in left:
            terminalreporter.line(name)
