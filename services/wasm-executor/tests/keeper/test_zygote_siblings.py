"""A sibling: its parent is its maker's own, and otherwise it is a process like any other."""

import os
import subprocess
import sys
from typing import Final

MAKES_ONE: Final = """
import ctypes, os, threading
from wasm_executor.zygote.siblings import Forking

def known_to_the_c_library():
    address = ctypes.c_void_p()
    ctypes.CDLL(None).prctl(40, ctypes.byref(address), 0, 0, 0)
    return ctypes.c_int.from_address(address.value).value

if (pid := Forking().sibling()) == 0:
    thread = threading.Thread(target=print, args=("a thread",))
    thread.start()
    thread.join()
    print(os.getppid(), os.getpid(), known_to_the_c_library(), flush=True)
    os._exit(7)
print(pid, flush=True)
"""


def test_a_sibling_has_its_makers_parent_and_a_number_of_its_own() -> None:
    made = subprocess.Popen([sys.executable, "-c", MAKES_ONE], stdout=subprocess.PIPE, text=True)
    out, _ = made.communicate(timeout=30)
    assert made.returncode == 0
    sibling = next(int(line) for line in out.splitlines() if line.isdigit())
    assert os.waitstatus_to_exitcode(os.waitpid(sibling, 0)[1]) == 7
    assert f"{os.getpid()} {sibling} {sibling}" in out
    assert "a thread" in out
