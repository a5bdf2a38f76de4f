"""What is written for compose is as its specification's schema says, and means what it should."""

from __future__ import annotations

import json

import jsonschema
import pytest

from meshctl.diagnostics import UsageError
from meshctl.platforms import Platform, readiness
from tests.platforms.making import ROOT, documents, made, told, validated

SCHEMA = json.loads((ROOT / "tests/schemas/compose-spec.json").read_text("utf-8"))
FILE = "compose/compose.yaml"


@pytest.mark.parametrize("name", ["reference", "cluster"])
def test_it_is_as_the_schema_says(name):
    validator = jsonschema.Draft202012Validator(SCHEMA)
    found = documents(made(name, Platform.COMPOSE))[FILE]
    validator.validate(found)
    first = next(iter(found["services"]))
    found["services"][first]["healthcheck"]["tset"] = []
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(found)


def test_every_sidecar_is_in_the_network_of_its_own_application():
    services = documents(made("reference", Platform.COMPOSE, application="app-{service}"))[FILE]["services"]
    networks = {name: each.get("network_mode") for name, each in services.items()}
    assert networks == {
        "catalog-sidecar-1": "service:app-catalog-1",
        "catalog-sidecar-2": "service:app-catalog-2",
        "catalog-sidecar-3": "service:app-catalog-3",
        "edge": None,
        "inventory-sidecar": "service:app-inventory",
        "ledger-sidecar": "service:app-ledger",
        "orders-sidecar": "service:app-orders",
        "payments-sidecar": "service:app-payments",
        "web-sidecar": "service:app-web",
    }
    # Instances of one bundle share its files, and nothing that they write.
    sources = [services[f"catalog-sidecar-{each}"]["volumes"][1]["source"] for each in (1, 2, 3)]
    assert [each.split("/")[-2] for each in sources] == ["port-15006", "port-15006", "port-16006"]


def test_no_dollar_is_a_variable_but_the_one_that_is_meant():
    found = documents(made("reference", Platform.COMPOSE))[FILE]["services"]["web-sidecar"]
    sidecar = next(each for each in validated("reference").mesh.sidecars if each.service == "web")
    probe = [
        each.replace("$$", "\0").replace("$", "(variable)").replace("\0", "$")
        for each in found["healthcheck"]["test"]
    ]
    assert probe == ["CMD", *readiness.command(sidecar.admin)]
    assert found["user"] == "${MESHCTL_USER:-1000:1000}"
    assert json.dumps(found).replace("$$", "").count("$") == 1


def test_loopback_is_no_place_for_a_container():
    lines = told("shop", Platform.COMPOSE).splitlines()
    assert len(lines) > 3
    assert all("error MSH7004" in each and "no other container reaches" in each for each in lines)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"application": "x y"}, "is not the name of a service of compose"),
        ({"application": "{service}\n"}, "is not the name of a service of compose"),
        ({"application": "edge"}, "edge would be two things"),
        ({"image": "a b"}, "is not the name of an image"),
        ({"image": "${X}"}, "is not the name of an image"),
        ({"image": "x\nuser: root"}, "is not the name of an image"),
    ],
)
def test_what_is_no_name_is_refused(options, said):
    with pytest.raises(UsageError, match=said):
        made("reference", Platform.COMPOSE, **options)
