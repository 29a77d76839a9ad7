"""Runs what is for good, such as giving up rights, in a process that ends with it."""

import os
import signal
import traceback
from collections.abc import Callable


def in_a_fork(what: Callable[[], object]) -> None:
    assert os.waitstatus_to_exitcode(_ended(what)) == 0


def signal_that_ended(what: Callable[[], object]) -> signal.Signals | None:
    status = _ended(what)
    return signal.Signals(os.WTERMSIG(status)) if os.WIFSIGNALED(status) else None


def _ended(what: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            what()
            code = 0
        except BaseException:  # noqa: BLE001 - it ends here
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]
