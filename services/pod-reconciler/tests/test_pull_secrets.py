"""Image pull secrets as a plan carries them: every form, the kubelet's order, and what is wrong."""

import base64
import json
from typing import Any

import msgspec
import pytest
from reconciler_samples import AROUND, acked, live_view, pod_json, pod_of, see

from contract.messages.pod import PodPlan
from contract.messages.pull import PullKey
from pod_reconciler.domain.material import Content, Kind, Lack, Material, ObjectKey
from pod_reconciler.domain.needs import needs_of
from pod_reconciler.domain.planning import Planned, planned
from pod_reconciler.domain.pullsecrets import lack_message

JSON = ("kubernetes.io/dockerconfigjson", ".dockerconfigjson")
CFG = ("kubernetes.io/dockercfg", ".dockercfg")
GONE = Lack(problem="gone", is_absent=True)


def auth(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def secret(document: Any, kind: tuple[str, str] = JSON, uid: str = "u") -> Content:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Content(data={kind[1]: raw}, type=kind[0], uid=uid)


def planned_with(**secrets: Content | Lack) -> Planned:
    pod = pod_of(pod_json(imagePullSecrets=[{"name": name} for name in secrets]))
    objects = {ObjectKey(Kind.SECRET, name): found for name, found in secrets.items()}
    return planned(pod, msgspec.structs.replace(AROUND, material=Material(objects=objects)))


def plan_with(entries: Any, kind: tuple[str, str] = JSON) -> PodPlan:
    document = {"auths": entries} if kind is JSON else entries
    return planned_with(s=secret(document, kind)).plan


def key(location: str, username: str = "", password: str = "", **more: str) -> PullKey:
    source = {"secret_name": "s", "secret_uid": "u"}
    return PullKey(location=location, username=username, password=password, **{**source, **more})


@pytest.mark.parametrize("kind", [JSON, CFG])
@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        ({"auth": auth("me:pass:word")}, {"username": "me", "password": "pass:word"}),
        ({"auth": auth("me:p").rstrip("=")}, {"username": "me", "password": "p"}),
        ({"username": "me", "password": "p"}, {"username": "me", "password": "p"}),
        ({"Username": "me", "PASSWORD": "p"}, {"username": "me", "password": "p"}),
        ({"auth": auth("a:b"), "username": "c"}, {"username": "a", "password": "b"}),
        ({"auth": auth("a:"), "identitytoken": "t"}, {"username": "a", "identity_token": "t"}),
        ({"email": "me@example.org", "auth": None}, {}),
    ],
)
def test_every_form_of_an_entry_is_read(
    kind: tuple[str, str], entry: dict[str, str], wanted: dict[str, str]
) -> None:
    plan = plan_with({"reg.example": entry}, kind)
    assert plan.pull_keys == (key("reg.example", **wanted),)
    assert plan.pull_problem == ""


def test_locations_are_the_kubelets() -> None:
    places = {
        "https://index.docker.io/v1/": "index.docker.io",
        "http://a.example:5000/v2/": "a.example:5000",
        "b.example/": "b.example",
        "https://c.example/v2/team/app": "c.example/team/app",
        "d.example/v1": "d.example/v1",
        "*.e.example/x": "*.e.example/x",
        "[::1": "",
    }
    plan = plan_with({place: {"auth": auth("a:b")} for place in places})
    found = [each.location for each in plan.pull_keys]
    assert found == sorted(filter(None, places.values()), reverse=True)


def test_the_more_specific_comes_first_and_else_the_first_secret() -> None:
    one = {"auths": {"r.example": {"username": "1"}, "r.example/team": {"username": "2"}}}
    two = {"auths": {"r.example": {"username": "3"}}}
    plan = planned_with(one=secret(one, uid="x"), two=secret(two, uid="y")).plan
    assert [(each.username, each.secret_name, each.secret_uid) for each in plan.pull_keys] == [
        ("2", "one", "x"),
        ("1", "one", "x"),
        ("3", "two", "y"),
    ]


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (b'{"s3cret', ".dockerconfigjson is not JSON"),
        ([], ".dockerconfigjson is not an object"),
        ({"auths": "s3cret"}, "auths is not an object"),
        ({"auths": {"r": "s3cret"}}, 'the entry "r" is not an object'),
        ({"auths": {"r": {"password": 7}}}, 'password of "r" is not a text'),
        (
            {"auths": {"r": {"auth": "s3cret!"}}},
            'auth of "r" is not base64 of username:password',
        ),
        (
            {"auths": {"r": {"auth": auth("s3cret")}}},
            'auth of "r" is not base64 of username:password',
        ),
    ],
)
def test_what_is_wrong_is_said_without_the_content(document: Any, problem: str) -> None:
    good = secret({"auths": {"r": {"auth": auth("a:b")}}})
    plan = planned_with(good=good, bad=secret(document)).plan
    assert plan.pull_problem == f'image pull secret "bad" cannot be read: {problem}'
    assert plan.pull_keys == ()


def test_a_secret_of_another_type_is_passed_over_as_a_kubelet_does() -> None:
    document = {"auths": {"r": {"auth": auth("a:b")}}}
    for other in (("Opaque", JSON[1]), (JSON[0], "other"), (CFG[0], JSON[1])):
        made = planned_with(s=secret(document, other))
        assert (made.plan.pull_keys, made.plan.pull_problem, made.lacking_secrets) == ((), "", ())


def test_missing_secrets_are_told_once_and_the_plan_goes_on_without() -> None:
    view = live_view()
    record = see(view, pod_json(imagePullSecrets=[{"name": ""}, {"name": "a"}, {"name": "b"}]))
    record.waits_for_material = True
    keys = {ObjectKey(Kind.SECRET, name) for name in "ab"}
    assert record.pod is not None
    assert needs_of(record.pod).objects == keys
    view.on_material(record.uid, Material(objects=dict.fromkeys(keys, GONE)))
    assert record.plan is not None
    assert record.has_untold_lack
    assert lack_message(record.lacking_secrets) == (
        "Unable to retrieve some image pull secrets (a, b); "
        "attempting to pull the image may not succeed."
    )
    acked(view, record)
    record.has_untold_lack = False
    view.on_material(record.uid, Material(objects=dict.fromkeys(keys, GONE), services={"A": "1"}))
    assert not record.has_untold_lack


def test_a_rotated_secret_makes_a_new_plan() -> None:
    plans = [plan_with({"r": {"username": "a", "password": word}}) for word in ("old", "new")]
    assert plans[0] != plans[1]
    assert "old" not in repr(plans[0].pull_keys)
