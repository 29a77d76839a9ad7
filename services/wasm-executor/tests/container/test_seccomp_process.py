"""What the kernel makes of the filter: a process as the zygote forks it, without a guest."""

import ctypes
import errno
import faulthandler
import mmap
import os
import platform
import signal
import socket
import threading
from collections.abc import Callable

import pytest
from forks import in_a_fork, signal_that_ended

from wasm_executor.container.needs import ALL_SOCKETS, Need, Needs
from wasm_executor.container.seccomp import can_restrict_calls, restrict_calls
from wasm_executor.keeper.linux import drop_capabilities

pytestmark = pytest.mark.skipif(
    not can_restrict_calls(), reason="no seccomp here, or an architecture without a table"
)
WORKERS: Needs = frozenset({Need.WORKERS})


def errno_of(what: Callable[[], object]) -> int | None:
    try:
        what()
    except OSError as error:
        return error.errno
    return None


def start_a_program() -> None:
    os.execv("/bin/true", ["true"])  # noqa: S606 - a shell would need to be started as well


def test_no_program_is_started_and_no_process_is_made() -> None:
    def inside() -> None:
        assert restrict_calls(frozenset())
        assert errno_of(os.fork) == errno.EPERM
        assert errno_of(start_a_program) == errno.EPERM
        assert errno_of(lambda: os.kill(os.getppid(), 0)) == errno.EPERM
        assert errno_of(lambda: os.unshare(os.CLONE_NEWUSER)) == errno.EPERM

    in_a_fork(inside)


def test_threads_start_and_a_process_aborts_itself() -> None:
    def inside() -> None:
        assert restrict_calls(frozenset())
        done: list[int] = []
        thread = threading.Thread(target=lambda: done.append(threading.get_native_id()))
        thread.start()
        thread.join()
        assert done
        faulthandler.disable()  # pytest's own would write down where everybody is
        os.abort()

    assert signal_that_ended(inside) is signal.SIGABRT


def test_workers_are_forked_and_reaped_and_start_no_program_either() -> None:
    def inside() -> None:
        assert restrict_calls(WORKERS)
        worker = os.fork()
        if worker == 0:
            os._exit(errno_of(start_a_program) or 0)
        assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == errno.EPERM

    in_a_fork(inside)


def test_who_may_connect_looks_names_up_and_speaks_tcp_and_udp_and_nothing_else() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    heard = socket.socket(type=socket.SOCK_DGRAM)
    heard.bind(("127.0.0.1", 0))

    def inside() -> None:
        assert restrict_calls(frozenset({Need.CONNECT}))
        assert socket.getaddrinfo("localhost", 80, socket.AF_INET)
        socket.create_connection(server.getsockname()).sendall(b"by tcp")
        socket.socket(type=socket.SOCK_DGRAM).sendto(b"by udp", heard.getsockname())
        assert errno_of(lambda: socket.socket(socket.AF_UNIX)) == errno.EPERM
        assert errno_of(lambda: socket.create_server(("127.0.0.1", 0))) == errno.EPERM

    with server, heard:
        in_a_fork(inside)
        assert heard.recv(16) == b"by udp"
        accepted, _ = server.accept()
        with accepted:
            assert accepted.recv(16) == b"by tcp"


def test_filter_cannot_be_widened_afterwards() -> None:
    def inside() -> None:
        assert restrict_calls(frozenset())
        assert errno_of(lambda: restrict_calls(ALL_SOCKETS)) == errno.EPERM

    in_a_fork(inside)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the calls of i386")
def test_call_by_the_numbers_of_another_machine_kills_the_process() -> None:
    """`getpid` of i386: mov eax, 20; int 0x80; ret."""

    def inside() -> None:
        page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
        call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
        assert restrict_calls(frozenset())
        call()

    assert signal_that_ended(inside) is signal.SIGSYS


@pytest.mark.skipif(os.geteuid() != 0, reason="whoever is not root has none to lose")
def test_root_without_capabilities_is_bound_by_modes() -> None:
    def inside() -> None:
        drop_capabilities()
        lines = open("/proc/self/status").read().splitlines()  # noqa: PTH123, SIM115 - it ends here
        sets = {line.split()[0]: int(line.split()[1], 16) for line in lines if line[:3] == "Cap"}
        assert set(sets.values()) == {0}
        assert errno_of(lambda: os.setuid(1)) == errno.EPERM
        assert errno_of(lambda: os.chroot("/")) == errno.EPERM

    in_a_fork(inside)
