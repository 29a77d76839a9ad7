"""What is known of a node's object, whatever the order in which it is heard."""

from contract.ids import NodeName
from node_registrar.app.member import Member
from node_registrar.domain.node_view import NodeMeta, NodeView

NAME = NodeName("wasm-one")


def version(uid: str, resource_version: str) -> NodeView:
    metadata = NodeMeta(name=NAME, uid=uid, resource_version=resource_version)
    return NodeView(metadata=metadata)


def member() -> Member:
    return Member(NAME, fresh_s=10.0)


def test_the_latest_version_counts() -> None:
    node = member()
    node.take_node(version("a", "7"))
    node.take_node(version("a", "6"))
    assert node.node == version("a", "7")


def test_an_answer_that_comes_after_the_nodes_end_does_not_bring_it_back() -> None:
    node = member()
    node.take_node(version("a", "7"))
    node.lose_node("a")
    node.status_wake.clear()
    node.take_node(version("a", "8"))
    assert node.node is None
    node.take_node(version("b", "9"))
    assert node.node == version("b", "9")


def test_the_end_of_another_object_is_not_this_ones() -> None:
    node = member()
    node.take_node(version("b", "9"))
    node.lose_node("a")
    assert node.node_uid == "b"
