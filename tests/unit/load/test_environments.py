"""Which files are an environment, how one is chosen, and what must differ between them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from meshctl.diagnostics import UsageError
from meshctl.load import limits, read_spec, worktree


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.chdir(tmp_path)


def write(files):
    for path, text in files.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")


def commit():
    identity = ("-c", "user.name=n", "-c", "user.email=n@example.com")
    subprocess.run(["git", "init", "-q", "-b", "main"], check=True)
    subprocess.run(["git", "add", "-A", "-f"], check=True)
    subprocess.run(["git", *identity, "commit", "-q", "-m", "x", "--no-gpg-sign"], check=True)


def told(findings):
    return [(each.slug, str(each.at), *(str(other.at) for other in each.related)) for each in findings]


SHOP = {
    "shop/mesh.yaml": "mesh: {name: shop, trustDomain: a.example}\n",
    "shop/web.yaml": "services: {web: {port: 80}}\n",
    "shop/environments/prod.yaml": "services: {web: {port: 81}}\n",
    "shop/environments/eu/mesh.yml": "mesh: {trustDomain: eu.example}\n",
    "shop/environments/eu/deep/web.yaml": "services: {web: {port: 82}}\n",
    "shop/environments/.hidden.yaml": "no: spec\n",
    "shop/environments/prod.test.yaml": "tests: []\n",
    "shop/environments/README.md": "no spec\n",
}
PORTS = {"prod": "81", "eu": "82"}

# location, and what the name of the environment's file begins with
LOCATIONS = {
    "shop": "shop/environments/",
    "shop/": "shop/environments/",
    "./shop": "./shop/environments/",
    "HEAD:shop": "HEAD:shop/environments/",
    "HEAD:./shop": "HEAD:./shop/environments/",
}


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("name", PORTS)
def test_an_environment_is_a_file_or_a_folder_beside_the_spec(location, name):
    write(SHOP)
    commit()
    if location.startswith("HEAD:"):
        write({"shop/environments/prod.yaml": "services: {web: {port: 99}}\n"})
    read = read_spec(location, name)
    assert read.findings == ()
    assert read.data["services"] == {"web": {"port": PORTS[name]}}
    assert read.bare["services"] == {"web": {"port": "80"}}
    at = read.source.at("services", "web", "port")
    assert at.file.startswith(LOCATIONS[location] + name)
    assert at.file in read.texts
    assert at.file in read.blobs
    assert read_spec(location).data == read.bare


@pytest.mark.parametrize(
    ("location", "beside"),
    [
        ("mesh.yaml", "environments/prod.yaml"),
        ("./mesh.yaml", "environments/prod.yaml"),
        ("sub/mesh.yaml", "sub/environments/prod.yaml"),
        ("HEAD:mesh.yaml", "HEAD:environments/prod.yaml"),
        ("HEAD:./mesh.yaml", "HEAD:./environments/prod.yaml"),
        ("HEAD:sub/mesh.yaml", "HEAD:sub/environments/prod.yaml"),
        (".", "environments/prod.yaml"),
        ("HEAD:", "HEAD:environments/prod.yaml"),
        ("HEAD:.", "HEAD:./environments/prod.yaml"),
    ],
)
def test_a_single_file_has_its_environments_beside_it(location, beside):
    write(
        {"mesh.yaml": "a: 1\n", "sub/mesh.yaml": "a: 1\n"} if "sub" in location else {"mesh.yaml": "a: 1\n"}
    )
    write({"environments/prod.yaml": "a: 2\n", "sub/environments/prod.yaml": "a: 2\n"})
    commit()
    read = read_spec(location, "prod")
    assert read.data == {"a": "2"}
    assert str(read.source.at("a")) == f"{beside}:1:1"


def test_from_a_folder_below_the_top_of_the_repository(monkeypatch):
    write(SHOP)
    commit()
    monkeypatch.chdir("shop")
    for location in ("HEAD:.", "HEAD:./", "HEAD:shop", "."):
        assert read_spec(location, "prod").data["services"] == {"web": {"port": "81"}}


@pytest.mark.parametrize("location", ["shop", "HEAD:shop"])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("staging", "no environment `staging` in {}shop/environments/ (there are: eu, prod)"),
        ("mesh", "no environment `mesh`"),
        ("", "cannot be an environment"),
        ("..", "cannot be an environment"),
        ("../shop/web", "cannot be an environment"),
        ("eu/mesh", "cannot be an environment"),
        ("prod.yaml", "cannot be an environment"),
        ("Prod", "cannot be an environment"),
        ("prod\n", "cannot be an environment"),
        ("a" * 64, "cannot be an environment"),
        ("\x1b[31m", r"\x1b[31m` cannot be an environment"),
    ],
)
def test_an_unknown_environment_is_refused(location, name, words):
    write(SHOP)
    commit()
    with pytest.raises(UsageError) as refused:
        read_spec(location, name)
    assert words.format("HEAD:" if location != "shop" else "") in str(refused.value)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("location", ["mesh.yaml", "HEAD:mesh.yaml"])
def test_where_there_are_none_that_is_said(location):
    write({"mesh.yaml": "a: 1\n", "environments": "a file\n"})
    commit()
    with pytest.raises(UsageError, match="there are none"):
        read_spec(location, "prod")
    assert read_spec(location).compare_environments().findings == ()


@pytest.mark.parametrize("location", ["mesh", "HEAD:mesh"])
@pytest.mark.parametrize(
    ("link", "goal", "at"),
    [
        ("mesh/environments/prod.yaml", "../../outside.yaml", "mesh/environments/prod.yaml"),
        ("mesh/environments/prod.yaml", "../mesh.yaml", "mesh/environments/prod.yaml"),
        ("mesh/environments/prod.yaml", "/etc/hostname", "mesh/environments/prod.yaml"),
        ("mesh/environments", "../elsewhere", "mesh/environments"),
    ],
)
def test_no_link_leads_out_of_the_environments(location, link, goal, at):
    write({"mesh/mesh.yaml": "a: 1\n", "outside.yaml": "a: 2\n", "elsewhere/prod.yaml": "a: 2\n"})
    Path(link).parent.mkdir(exist_ok=True)
    Path(link).symlink_to(goal)
    commit()
    place = f"{location.removesuffix('mesh')}{at}:1:1"
    if at.endswith("prod.yaml"):
        assert told(read_spec(location, "prod").findings) == [("unreadable-file", place)]
    else:
        with pytest.raises(UsageError):
            read_spec(location, "prod")
    assert told(read_spec(location).compare_environments().findings) == [("unreadable-file", place)]


@pytest.mark.parametrize("location", ["mesh", "HEAD:mesh"])
def test_a_link_inside_is_followed(location):
    write({"mesh/mesh.yaml": "a: 1\n", "mesh/environments/prod.yaml": "a: 2\n"})
    Path("mesh/environments/eu.yaml").symlink_to("prod.yaml")
    commit()
    assert read_spec(location, "prod").data == {"a": "2"}
    assert read_spec(location, "eu").data == {"a": "2"}


@pytest.mark.parametrize(
    ("spec", "over", "expected"),
    [
        # one namespace, over the spec and the environment
        (
            ["services: {web: {}}"],
            ["externals: {web: {}}"],
            [("duplicate-definition", "mesh/environments/prod/a.yaml:1:13", "mesh/a.yaml:1:12")],
        ),
        # what moves from one kind to another is deleted first
        (["services: {web: {}}"], ["services: {web: }\nexternals: {web: {}}"], []),
        # files of one environment are like those of a spec
        (
            ["services: {web: {port: 1}}"],
            ["services: {web: {port: 2}}", "services: {web: {port: 3}}"],
            [
                (
                    "duplicate-definition",
                    "mesh/environments/prod/b.yaml:1:12",
                    "mesh/environments/prod/a.yaml:1:12",
                )
            ],
        ),
        (
            ["mesh: {name: a}", "services: {web: {}}"],
            ["mesh: {name: b}", "mesh: {domain: c}"],
            [
                (
                    "duplicate-definition",
                    "mesh/environments/prod/b.yaml:1:1",
                    "mesh/environments/prod/a.yaml:1:1",
                )
            ],
        ),
        (["mesh: {name: a}"], ["mesh: {name: b}", "services: {web: {}}"], []),
        # what the files of the spec say twice is told whatever the environment
        (
            ["mesh: {}", "mesh: {}"],
            ["lint: {}"],
            [("duplicate-definition", "mesh/b.yaml:1:1", "mesh/a.yaml:1:1")],
        ),
        # faults of the files
        (["a: 1"], ["- b"], [("invalid-value", "mesh/environments/prod/a.yaml:1:1")]),
        (["a: 1"], ["b: [c"], [("yaml-syntax", "mesh/environments/prod/a.yaml:1:4")]),
        (
            ["a: [1"],
            ["b: [c"],
            [("yaml-syntax", "mesh/a.yaml:1:4"), ("yaml-syntax", "mesh/environments/prod/a.yaml:1:4")],
        ),
        (["a: 1"], ["b: {c: 1, c: 2}"], [("duplicate-key", "mesh/environments/prod/a.yaml:1:11")]),
    ],
)
def test_faults(spec, over, expected):
    write({f"mesh/{name}.yaml": text for name, text in zip("abc", spec, strict=False)})
    write({f"mesh/environments/prod/{name}.yaml": text for name, text in zip("abc", over, strict=False)})
    assert [
        each[: len(want)]
        for each, want in zip(told(read_spec("mesh", "prod").findings), expected, strict=True)
    ] == expected


def compared(spec, **environments):
    write({"mesh.yaml": spec})
    write({f"environments/{name.replace('_', '/')}.yaml": text for name, text in environments.items()})
    return read_spec("mesh.yaml").compare_environments()


BARE = "mesh: {name: shop, trustDomain: a.example}\n"


def own(domain):
    return f"mesh:\n  trustDomain: {domain}\n"


@pytest.mark.parametrize(
    ("environments", "expected"),
    [
        ({}, []),
        ({"prod": own("b.example"), "staging": own("c.example")}, []),
        # the bare spec counts
        ({"prod": "# nothing"}, [("environments/prod.yaml:1:1", "mesh.yaml:1:33")]),
        ({"prod": "\nservices: {}"}, [("environments/prod.yaml:1:1", "mesh.yaml:1:33")]),
        ({"prod": "\nmesh: {proxy: nginx}"}, [("environments/prod.yaml:2:1", "mesh.yaml:1:33")]),
        ({"prod": own("a.example")}, [("environments/prod.yaml:2:16", "mesh.yaml:1:33")]),
        # and each is compared with each
        (
            {"prod": own("b.example"), "staging": own("b.example")},
            [("environments/staging.yaml:2:16", "environments/prod.yaml:2:16")],
        ),
        (
            {"a": own("b.example"), "b": own("b.example"), "c": own("b.example")},
            [
                ("environments/b.yaml:2:16", "environments/a.yaml:2:16"),
                ("environments/c.yaml:2:16", "environments/a.yaml:2:16"),
            ],
        ),
        ({"eu_x": "services: {}", "eu_y": own("b.example")}, []),
        # what is not understood here is told elsewhere
        ({"prod": "mesh: nothing"}, [("environments/prod.yaml:1:1", "mesh.yaml:1:33")]),
        ({"prod": "mesh: {trustDomain: }"}, []),
        ({"prod": "mesh: {trustDomain: [a.example]}"}, []),
    ],
)
def test_environments_differ_in_their_trust_domains(environments, expected):
    found = told(compared(BARE, **environments).findings)
    assert found == [("shared-trust-domain", *each) for each in expected]


def test_a_spec_without_a_trust_domain_shares_none():
    assert compared("mesh: {name: shop}", prod="lint: {}", staging="lint: {}").findings == ()


def test_whichever_environment_the_spec_was_read_with():
    compared(BARE, prod=own("b.example"), staging="lint: {}")
    assert told(read_spec("mesh.yaml", "prod").compare_environments().findings) == [
        ("shared-trust-domain", "environments/staging.yaml:1:1", "mesh.yaml:1:33")
    ]


def test_of_all_environments_the_files_can_be_read():
    found = compared(BARE, prod="a: [", Prod=own("c.example"), staging="- x", dev=own("a.example"))
    assert [each[:2] for each in told(found.findings)] == [
        ("invalid-value", "environments/Prod.yaml:1:1"),
        ("shared-trust-domain", "environments/dev.yaml:2:16"),
        ("yaml-syntax", "environments/prod.yaml:1:5"),
        ("invalid-value", "environments/staging.yaml:1:1"),
    ]
    assert found.texts["environments/prod.yaml"] == "a: ["


def test_one_that_is_too_large_is_told_and_hides_no_other(monkeypatch):
    monkeypatch.setattr(limits, "FILE_BYTES", 60)
    found = compared(BARE, prod="#" * 61, staging=own("a.example"))
    assert [each[:2] for each in told(found.findings)] == [
        ("too-large", "environments/prod.yaml:1:1"),
        ("shared-trust-domain", "environments/staging.yaml:2:16"),
    ]
    assert [each[0] for each in told(read_spec("mesh.yaml", "prod").findings)] == ["too-large"]
    assert read_spec("mesh.yaml", "staging").findings == ()


def test_without_an_environment_none_is_read(monkeypatch):
    write(SHOP)
    opened = []
    read_regular = worktree.read_regular

    def spy(name, path):
        opened.append(name)
        return read_regular(name, path)

    monkeypatch.setattr(worktree, "read_regular", spy)
    assert read_spec("shop").findings == ()
    assert opened == ["shop/mesh.yaml", "shop/web.yaml"]
    read_spec("shop", "prod")
    assert "shop/environments/prod.yaml" in opened
