"""What users install: the wheel, in an empty environment, away from the checkout."""

import hashlib
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHOP = ROOT / "examples" / "shop"
DATA = ("templates", "schemas", "policies")

# One worker builds and installs; the others would only do the same again.
pytestmark = pytest.mark.xdist_group("wheel")


def run(*command, cwd, **environment):
    """Run to the end and give the output; a failure shows both streams."""
    # Nothing of this checkout may leak into what is tested.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=cwd, env=inherited | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build(target):
    # The date is not today's, so that a build which looked at the clock would differ.
    run(
        *(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target), str(ROOT)),
        cwd=target,
        SOURCE_DATE_EPOCH="1700000000",
    )
    (wheel,) = target.glob("*.whl")
    (sdist,) = target.glob("*.tar.gz")
    return wheel, sdist


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def installed(built, tmp_path_factory):
    """The folder of programs of an environment that holds the wheel and its locked dependencies."""
    wheel, _ = built
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, with_pip=True, symlinks=True)
    pip = (home / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check")
    run(*pip, "--require-hashes", "-r", ROOT / "requirements" / "runtime.lock", cwd=home)
    # Without --no-deps pip checks that the lock held everything; without an index nothing can be added.
    run(*pip, "--no-index", wheel, cwd=home)
    return home / "bin"


def test_two_builds_are_equal(built, tmp_path):
    again = build(tmp_path)
    for one, other in zip(built, again, strict=True):
        assert hashlib.sha256(one.read_bytes()).digest() == hashlib.sha256(other.read_bytes()).digest()


def test_wheel_carries_all_data_files(built):
    tracked = run("git", "ls-files", *DATA, cwd=ROOT).split()
    with zipfile.ZipFile(built[0]) as wheel:
        names = set(wheel.namelist())
    assert {f"meshctl/_data/{name}" for name in tracked} <= names
    assert "meshctl/py.typed" in names
    strangers = {name for name in names if not name.startswith(("meshctl/", "meshctl-"))}
    assert not strangers


def test_sdist_builds_the_same_wheel(built, tmp_path):
    wheel, sdist = built
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    run(
        *(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(tmp_path), str(source)),
        cwd=tmp_path,
        SOURCE_DATE_EPOCH="1700000000",
    )
    (from_sdist,) = tmp_path.glob("*.whl")
    assert from_sdist.read_bytes() == wheel.read_bytes()


def test_it_tells_its_version(installed, tmp_path):
    assert "0.1.0" in run(installed / "meshctl", "--version", cwd=tmp_path)


def test_it_validates_and_builds_an_example(installed, tmp_path):
    run(installed / "meshctl", "validate", SHOP, cwd=tmp_path)
    run(installed / "meshctl", "build", SHOP, "-o", "out", cwd=tmp_path)
    assert (tmp_path / "out" / "manifest.json").is_file()


def test_its_dependencies_agree(installed, tmp_path):
    run(installed / "python", "-m", "pip", "check", cwd=tmp_path)


def test_it_is_the_installed_package_that_ran(installed, tmp_path):
    where = run(installed / "python", "-c", "import meshctl; print(meshctl.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parent)
