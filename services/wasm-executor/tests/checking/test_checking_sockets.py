"""Whose a port is: real sockets, real processes."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from contract.messages.health import Grpc, HttpGet, TcpSocket
from wasm_executor.checking.checks import not_own
from wasm_executor.checking.finding import failure
from wasm_executor.checking.listening import Listeners, listener_in_tables
from wasm_executor.checking.sockets import Holding, SocketHolders

ME = os.getpid()


@pytest.fixture
def holders() -> Iterator[SocketHolders]:
    kept = SocketHolders()
    yield kept
    kept.close()


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """A process that listens nowhere."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def listen(address: str, *, dual_stack: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, 0), family=family, dualstack_ipv6=dual_stack)


@pytest.mark.parametrize(
    ("bound", "dual_stack", "asked", "found"),
    [
        ("127.0.0.1", False, "127.0.0.1", True),
        ("0.0.0.0", False, "127.0.0.1", True),  # noqa: S104 - what most pods do
        ("127.0.0.2", False, "127.0.0.1", False),
        ("::", True, "127.0.0.1", True),
        ("::", False, "::1", True),
        ("::1", False, "::1", True),
        ("::1", False, "127.0.0.1", False),
    ],
)
def test_socket_that_gets_the_connection_is_found(
    *, bound: str, dual_stack: bool, asked: str, found: bool
) -> None:
    listeners = Listeners()
    with listen(bound, dual_stack=dual_stack) as server:
        port, inode = server.getsockname()[1], os.fstat(server.fileno()).st_ino
        from_kernel, from_tables = listeners.at(asked, port), listener_in_tables(asked, port)
    assert listeners._kernel is not None  # nobody there is an answer, not a fault
    listeners.close()
    assert from_kernel == from_tables
    assert (from_kernel is not None and from_kernel.inode == inode) is found


def test_address_itself_goes_before_any_address() -> None:
    listeners = Listeners()
    exact = socket.create_server(("127.0.0.1", 0), reuse_port=True)
    port = exact.getsockname()[1]
    wide = socket.create_server(("", port), reuse_port=True)
    with exact, wide:
        inode = os.fstat(exact.fileno()).st_ino
        for found in (listeners.at("127.0.0.1", port), listener_in_tables("127.0.0.1", port)):
            assert found is not None
            assert found.inode == inode
    listeners.close()


def test_open_connection_is_no_listener(holders: SocketHolders) -> None:
    with listen("127.0.0.1") as server, socket.socket() as client:
        client.connect(server.getsockname())
        port = client.getsockname()[1]
        assert holders.holding("127.0.0.1", port, [ME]) is Holding.NOBODY


def test_port_is_own_foreign_or_nobodys(
    holders: SocketHolders, other: subprocess.Popen[bytes]
) -> None:
    with listen("127.0.0.1") as server:
        port = server.getsockname()[1]
        for _ in range(2):  # the second time it is remembered
            assert holders.holding("127.0.0.1", port, [other.pid, ME]) is Holding.OWN
            assert holders.holding("127.0.0.1", port, [other.pid]) is Holding.FOREIGN
        assert holders.holding("127.0.0.1", port, []) is Holding.FOREIGN
    assert holders.holding("127.0.0.1", port, [ME]) is Holding.NOBODY


def test_new_socket_of_another_on_a_remembered_port_is_foreign(holders: SocketHolders) -> None:
    with listen("127.0.0.1") as server:
        port = server.getsockname()[1]
        assert holders.holding("127.0.0.1", port, [ME]) is Holding.OWN
    program = f"import socket; s = socket.create_server(('127.0.0.1', {port})); print(); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as taker:
        assert taker.stdout is not None
        taker.stdout.readline()
        assert holders.holding("127.0.0.1", port, [ME]) is Holding.FOREIGN
        assert holders.holding("127.0.0.1", port, [taker.pid]) is Holding.OWN
        taker.kill()


def test_socket_that_was_given_away_is_no_longer_held(holders: SocketHolders) -> None:
    server = listen("127.0.0.1")
    port = server.getsockname()[1]
    assert holders.holding("127.0.0.1", port, [ME]) is Holding.OWN
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(server.fileno(),)
    ) as heir:
        server.close()
        assert holders.holding("127.0.0.1", port, [ME]) is Holding.FOREIGN
        assert holders.holding("127.0.0.1", port, [heir.pid]) is Holding.OWN
        heir.kill()


def test_process_that_has_ended_holds_nothing(
    holders: SocketHolders, other: subprocess.Popen[bytes]
) -> None:
    other.kill()
    other.wait()
    with listen("127.0.0.1") as server:
        port = server.getsockname()[1]
        assert holders.holding("127.0.0.1", port, [other.pid]) is Holding.FOREIGN


ASK_AS_ANOTHER = """
import ctypes, os, socket, sys
from wasm_executor.checking.sockets import SocketHolders

def child(uid, port_to):
    pid = os.fork()
    if pid == 0:
        os.setuid(uid)
        server = socket.create_server(("127.0.0.1", 0))
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # as containers give up being dumped
        os.write(port_to, b"%d\\n" % server.getsockname()[1])
        sys.stdin.read()
        os._exit(0)
    return pid

listener_uid = int(sys.argv[1])
told, tell = os.pipe()
container = child(65534, tell)
os.read(told, 9)
child(listener_uid, tell)
port = int(os.read(told, 9))
os.setuid(65534)
try:
    os.listdir(f"/proc/{container}/fd")
except PermissionError:
    print(SocketHolders().holding("127.0.0.1", port, [container]))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can start processes of other users")
@pytest.mark.parametrize(("uid", "holding"), [(65534, Holding.OWN), (65533, Holding.FOREIGN)])
def test_owner_decides_where_descriptors_cannot_be_read(uid: int, holding: Holding) -> None:
    """The one who asks is an unprivileged supervisor; the container is closed even to its uid."""
    with subprocess.Popen(
        [sys.executable, "-c", ASK_AS_ANOTHER, str(uid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as asking:
        assert asking.stdout is not None
        assert asking.stdout.readline().strip() == holding


def test_probe_that_another_would_answer_fails_with_the_port(
    holders: SocketHolders, other: subprocess.Popen[bytes]
) -> None:
    with listen("127.0.0.1") as server:
        port = server.getsockname()[1]
        for action in (HttpGet(port=port), TcpSocket(port=port), Grpc(port=port)):
            said = not_own(action, "127.0.0.1", [other.pid], holders)
            assert said == failure(f"port {port} is not held by a process of this pod")
            assert not_own(action, "127.0.0.1", [ME], holders) is None


def test_probe_with_a_host_of_its_own_may_ask_anybody(
    holders: SocketHolders, other: subprocess.Popen[bytes]
) -> None:
    with listen("127.0.0.1") as server:
        port = server.getsockname()[1]
        for action in (
            HttpGet(port=port, host="127.0.0.1"),
            TcpSocket(port=port, host="127.0.0.1"),
        ):
            assert not_own(action, "127.0.0.1", [other.pid], holders) is None


def test_where_nobody_listens_the_probe_itself_says_so(holders: SocketHolders) -> None:
    with listen("127.0.0.1") as server:
        port = server.getsockname()[1]
    assert not_own(HttpGet(port=port), "127.0.0.1", [ME], holders) is None
