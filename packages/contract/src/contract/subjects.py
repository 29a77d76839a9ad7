"""Subjects: `wasmlet.v1.<cmd|evt>.<node>.<noun>.<verb>[.<id>]`, built and parsed only here.

One table says of each message who speaks and who listens. Subjects, subscriptions and the NATS
permissions of each service all come from it, so that they cannot disagree.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from contract.errors import UnknownSubjectError
from contract.ids import NodeName, id_token, node_of_token, node_token
from contract.messages import blob, log, node, pod, report, stream, usage
from contract.messages.form import Command, Done, Event, Message

PREFIX: Final = "wasmlet.v1"


class Role(StrEnum):
    """The four services. The value is the service's name and its NATS user."""

    NODE_REGISTRAR = "node-registrar"
    POD_RECONCILER = "pod-reconciler"
    WASM_EXECUTOR = "wasm-executor"
    LOG_SERVER = "log-server"


class Route(NamedTuple):
    """How one kind of message travels.

    Of a command, `listeners` serve it and `speakers` request it; of an event, `speakers` publish
    it. `reply` is None for events.
    """

    noun: str
    verb: str
    speakers: frozenset[Role]
    listeners: frozenset[Role]
    has_id: bool = False
    reply: type[Message] | None = None


_REG, _REC, _EXE, _LOG = (frozenset({role}) for role in Role)

ROUTES: Final[dict[type[Message], Route]] = {
    node.NodeRegister: Route("node", "register", _EXE, _REG, reply=node.NodeGrant),
    node.NodeRelease: Route("node", "release", _EXE, _REG, reply=Done),
    node.NodeRevoke: Route("node", "revoke", _REG, _EXE, has_id=True, reply=Done),
    node.NodePing: Route("node", "ping", _LOG, _EXE, reply=node.NodePong),
    node.NodeBeat: Route("node", "beat", _EXE, _REG | _REC),
    node.NodeGranted: Route("node", "granted", _REG, _REC | _LOG),
    node.NodeCheck: Route("node", "check", _REC | _LOG, _REG, reply=node.NodeChecked),
    node.GrantsList: Route("grants", "list", _REC | _LOG, _REG, reply=node.GrantsListed),
    node.ServerAnnounced: Route("server", "announced", _LOG, _REG),
    pod.PodApply: Route("pod", "apply", _REC, _EXE, has_id=True, reply=pod.PodAck),
    pod.PodForget: Route("pod", "forget", _REC, _EXE, has_id=True, reply=Done),
    pod.PodsList: Route("pods", "list", _LOG, _REC, reply=pod.PodsListed),
    report.ReportAll: Route("pods", "report", _REC, _EXE, reply=report.Inventory),
    report.PodReported: Route("pod", "reported", _EXE, _REC, has_id=True),
    report.PodHappened: Route("pod", "happened", _EXE, _REC, has_id=True),
    log.LogOpen: Route("log", "open", _LOG, _EXE, reply=log.LogOpened),
    log.LogRead: Route("log", "read", _LOG, _EXE, reply=log.LogChunk),
    stream.ExecOpen: Route("exec", "open", _LOG, _EXE, reply=stream.StreamOpened),
    stream.AttachOpen: Route("attach", "open", _LOG, _EXE, reply=stream.StreamOpened),
    stream.ForwardOpen: Route("forward", "open", _LOG, _EXE, reply=stream.StreamOpened),
    stream.StreamRead: Route("stream", "read", _LOG, _EXE, reply=stream.StreamChunk),
    stream.StreamWrite: Route("stream", "write", _LOG, _EXE, reply=stream.StreamTaken),
    stream.StreamClose: Route("stream", "close", _LOG, _EXE, reply=Done),
    usage.UsageRead: Route("usage", "read", _LOG, _EXE, reply=usage.UsageShown),
    blob.BlobRead: Route("blob", "read", _EXE, _REC, has_id=True, reply=blob.BlobChunk),
}


class Address(NamedTuple):
    """What a subject says: which message, of which node, with which id."""

    kind: type[Message]
    node: NodeName
    id: str


_KINDS: Final = {
    ("cmd" if issubclass(kind, Command) else "evt", route.noun, route.verb): kind
    for kind, route in ROUTES.items()
}


def _stem(kind: type[Message], token: str) -> str:
    route = ROUTES[kind]
    family = "cmd" if issubclass(kind, Command) else "evt"
    return f"{PREFIX}.{family}.{token}.{route.noun}.{route.verb}"


def subject_of(message: Command[Message] | Event, node: NodeName) -> str:
    """Return the subject on which this message of this node is sent."""
    stem = _stem(type(message), node_token(node))
    if not ROUTES[type(message)].has_id:
        return stem
    return f"{stem}.{id_token(message.subject_id())}"


def subscription_for(kind: type[Message], node: NodeName, id: str = "*") -> str:  # noqa: A002 - the form's own word
    """Return the subject that receives all messages of a kind, of one node or of `EVERY_NODE`."""
    stem = _stem(kind, node_token(node))
    if not ROUTES[kind].has_id:
        return stem
    return f"{stem}.{id if id == '*' else id_token(id)}"


def parse(subject: str) -> Address:
    """Return what a received subject says, or raise `UnknownSubjectError`."""
    tokens = subject.split(".")
    if ".".join(tokens[:2]) != PREFIX or len(tokens) not in (6, 7):
        raise UnknownSubjectError(subject)
    kind = _KINDS.get((tokens[2], tokens[4], tokens[5]))
    if kind is None or ROUTES[kind].has_id != (len(tokens) == 7):  # noqa: PLR2004 - the form above
        raise UnknownSubjectError(subject)
    return Address(kind, node_of_token(tokens[3]), tokens[6] if len(tokens) == 7 else "")  # noqa: PLR2004 - as above
