"""Subjects and permissions: built and parsed in one place, proved against planted strangers."""

import re
from pathlib import Path

import pytest
from contract_samples import NODE, SAMPLES
from hypothesis import given
from hypothesis import strategies as st
from plan_samples import UID

from contract.errors import InvalidTokenError, UnknownSubjectError
from contract.ids import EVERY_NODE, NO_NODE, NodeName, id_token, node_of_token, node_token
from contract.messages.form import Command, Event
from contract.messages.node import NodeBeat
from contract.messages.pod import PodApply
from contract.permissions import ADMISSION, OF_ONE_NODE, permissions, user_of_one_node
from contract.subjects import PREFIX, ROUTES, Role, parse, subject_of, subscription_for

REPOSITORY = Path(__file__).parents[3]
LABEL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
NODE_NAMES = st.lists(LABEL, min_size=1, max_size=4).map(".".join)


@given(NODE_NAMES)
def test_a_node_name_survives_its_token(name: str) -> None:
    token = node_token(NodeName(name))
    assert "." not in token
    assert node_of_token(token) == name


@pytest.mark.parametrize(
    "name", ["", "Node", "a_b", "a..b", "-a", "a.", "a b", "a>", "ä", "a" * 254]
)
def test_what_is_no_node_name_is_no_token(name: str) -> None:
    with pytest.raises(InvalidTokenError):
        node_token(NodeName(name))


@pytest.mark.parametrize("value", ["", "a.b", "a b", "*", ">", "a" * 254])
def test_what_is_no_token_is_no_id(value: str) -> None:
    with pytest.raises(InvalidTokenError):
        id_token(value)


@pytest.mark.parametrize(
    "message",
    [m for m in SAMPLES if isinstance(m, Command | Event)],
    ids=lambda m: type(m).__name__,
)
def test_a_subject_says_which_message_of_which_node(message: Command | Event) -> None:  # type: ignore[type-arg]  # any reply
    address = parse(subject_of(message, NODE))
    assert address == (type(message), NODE, message.subject_id())


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "wasmlet.v2.evt.n.node.beat",
        "wasmlet.v1.evt.n.node",
        "wasmlet.v1.evt.n.node.beat.x",
        "wasmlet.v1.cmd.n.node.beat",
        "wasmlet.v1.cmd.n.pod.apply",
        "wasmlet.v1.evt.n.pod.flew",
    ],
)
def test_a_stranger_is_no_subject(subject: str) -> None:
    with pytest.raises(UnknownSubjectError):
        parse(subject)


def test_the_prefix_stands_nowhere_else() -> None:
    pattern = re.compile(re.escape(PREFIX) + r"\.(cmd|evt|str)")
    allowed = {"packages/contract/src/contract/subjects.py"}
    found = {
        str(file.relative_to(REPOSITORY))
        for folder in ("packages", "services")
        for file in (REPOSITORY / folder).glob("*/src/**/*.py")
        if pattern.search(file.read_text())
    }
    assert found <= allowed


@pytest.mark.parametrize("role", OF_ONE_NODE)
def test_the_service_of_one_node_names_only_that_node(role: Role) -> None:
    rights = permissions(role, NODE)
    assert user_of_one_node(rights.user) == (role, NODE)
    token = node_token(NODE)
    assert all(f".{token}." in subject for subject in rights.publish)
    assert {s for s in rights.subscribe if f".{token}." not in s} == {f"{rights.inbox_prefix}.>"}


def test_every_command_has_one_server_and_nobody_publishes_what_he_only_hears() -> None:
    for kind, route in ROUTES.items():
        assert (route.reply is not None) == issubclass(kind, Command)
        if issubclass(kind, Command):
            assert len(route.listeners) == 1
        for role in Role:
            spoken = subscription_for(kind, NODE if role in OF_ONE_NODE else EVERY_NODE)
            rights = permissions(role, NODE)
            assert (spoken in rights.publish) == (role in route.speakers)
            assert (spoken in rights.subscribe) == (role in route.listeners)


@pytest.mark.parametrize(
    "user",
    [
        *("", "log-server", "wasm-executor", "wasm-executor-", "wasm-executor-a.b"),
        *("wasm-executor-*", "pod-reconciler-a", "node-registrar", "wasm-executor-A"),
        *("log-server->", "log-server-_"),
    ],
)
def test_the_user_of_no_node_is_none(user: str) -> None:
    with pytest.raises(InvalidTokenError):
        user_of_one_node(user)


def test_only_the_registrar_hears_who_wants_to_be_let_in_and_nobody_asks_it() -> None:
    hearers = [role for role in Role if ADMISSION in permissions(role, NODE).subscribe]
    assert hearers == [Role.NODE_REGISTRAR]
    assert not any(
        subject.startswith("$") for role in Role for subject in permissions(role, NODE).publish
    )


def test_inboxes_are_private() -> None:
    prefixes = [permissions(role, NODE).inbox_prefix for role in Role]
    assert len(set(prefixes)) == len(prefixes)
    assert not any("*" in p or p == "_INBOX" for p in prefixes)


def test_subscriptions_widen_only_where_asked() -> None:
    assert subscription_for(PodApply, NODE) == f"{PREFIX}.cmd.wasm_node-1.pod.apply.*"
    assert subscription_for(PodApply, NODE, UID).endswith(UID)
    assert subscription_for(NodeBeat, EVERY_NODE) == f"{PREFIX}.evt.*.node.beat"
    assert node_of_token(node_token(NO_NODE)) == NO_NODE
