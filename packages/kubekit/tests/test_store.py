"""The store of a reflector: identity is the UID, names only find rivals."""

from kubekit.changes import Added, Deleted, Modified
from kubekit.objects import ObjectMeta, ObjectUid, object_path
from kubekit.store import Store


def meta(name: str, uid: str, version: str = "1") -> ObjectMeta:
    return ObjectMeta(name=name, uid=ObjectUid(uid), namespace="n", resource_version=version)


def test_versions_become_changes() -> None:
    store: Store[str] = Store()
    uid = ObjectUid("u")
    assert store.put(meta("a", "u"), "one") == Added(uid=uid, object="one")
    assert store.has(meta("a", "u"))
    assert not store.has(meta("a", "u", "2"))
    assert store.put(meta("a", "u", "2"), "two") == Modified(uid=uid, object="two", previous="one")
    assert store.remove(uid) == Deleted(uid=uid, object="two")
    assert store.remove(uid) is None
    assert not store.objects


def test_a_name_finds_the_newest_bearer_even_after_the_older_one_has_gone() -> None:
    store: Store[str] = Store()
    store.put(meta("a", "old"), "x")
    assert store.rival_of(meta("a", "new")) == meta("a", "old")
    assert store.rival_of(meta("a", "old")) is None
    store.put(meta("a", "new"), "y")
    store.remove(ObjectUid("old"))
    assert store.rival_of(meta("a", "newer")) == meta("a", "new")


def test_missing_is_what_a_list_did_not_show() -> None:
    store: Store[str] = Store()
    store.put(meta("a", "1"), "x")
    store.put(meta("b", "2"), "y")
    assert store.missing_from({ObjectUid("2")}) == [meta("a", "1")]


def test_an_object_has_its_path_whatever_the_collection() -> None:
    assert object_path("/api/v1/pods", "n", "p") == "/api/v1/namespaces/n/pods/p"
    assert object_path("/api/v1/namespaces/n/pods", "n", "p") == "/api/v1/namespaces/n/pods/p"
    assert object_path("/api/v1/nodes", "", "x") == "/api/v1/nodes/x"
    forged = object_path("/api/v1/pods", "n", "p/log?follow=true")
    assert forged == "/api/v1/namespaces/n/pods/p%2Flog%3Ffollow%3Dtrue"
    assert (
        object_path("/apis/apps/v1/deployments", "n", "d")
        == "/apis/apps/v1/namespaces/n/deployments/d"
    )
