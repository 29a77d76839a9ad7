"""The key by which the registrar lets nodes onto the bus."""

import re

import pytest
import yaml

from contract.nkeys import account_seed
from wasmlet.__main__ import main
from wasmlet.bus.issuing import public_of


def test_the_secret_goes_to_one_place_and_what_helm_is_told_to_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["bus", "issuer"]) == 0
    said = capsys.readouterr()
    secret = yaml.safe_load(said.out)
    assert secret["metadata"] == {"name": "wasmlet-bus-issuer", "namespace": "wasmlet-system"}
    text = secret["stringData"]["seed"]
    (issuer,) = re.findall(r"--set nats\.callout\.issuer=(A[A-Z2-7]{55}) ", said.err)
    assert issuer == public_of(account_seed(text))
    assert text not in said.err


def test_each_key_is_a_new_one(capsys: pytest.CaptureFixture[str]) -> None:
    made = set()
    for _ in range(2):
        main(["bus", "issuer"])
        made.add(capsys.readouterr().out)
    assert len(made) == 2
