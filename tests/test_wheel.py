"""The wheel, which samples anywhere by itself, and the source distribution that it is built from."""

import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from mnistdiff.engine.checkpoint.pretrained import bundled_models

REPOSITORY = Path(__file__).parents[1]
# The tests that read most files outside the package, but for those that import PyTorch.
FROM_THE_SDIST = [
    "tests/test_docs.py",
    "-k",
    "not (equation or python or network)",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:xdist",
    "-oaddopts=-q",
]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The source distribution, built and unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder]
    subprocess.run(build, check=True, timeout=120, cwd=REPOSITORY, capture_output=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as content:
        content.extractall(folder, filter="data")
    (tree,) = (path for path in folder.iterdir() if path.is_dir())
    return tree


@pytest.fixture(scope="module")
def installed(unpacked, tmp_path_factory):
    """The wheel, built from the source distribution and unpacked far from it."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, unpacked]
    subprocess.run(build, check=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", folder / "site", wheel], check=True, timeout=120)
    return folder / "site"


@pytest.fixture(scope="module")
def metadata(installed):
    """The metadata that the package index shows."""
    (file,) = installed.glob("*.dist-info/METADATA")
    return email.message_from_string(file.read_text(encoding="utf-8"))


@pytest.mark.skipif(shutil.which("git") is None or not (REPOSITORY / ".git").exists(), reason="not a checkout")
def test_the_source_distribution_holds_all_that_the_repository_holds(unpacked):
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True).stdout
    tracked = {name for name in os.fsdecode(listed).split("\0") if (REPOSITORY / name).is_file()}
    packed = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    assert tracked - packed == set()


def test_the_tests_of_the_source_distribution_pass_from_it(unpacked, environment):
    def python(*words):
        where = environment(PYTHONPATH=str(unpacked))
        done = subprocess.run([sys.executable, *words], cwd=unpacked, env=where, capture_output=True, check=False)
        return done.returncode, done.stdout.decode()

    assert python("-c", "import mnistdiff; print(mnistdiff.__file__)")[1].startswith(str(unpacked))
    code, output = python("-m", "pytest", *FROM_THE_SDIST, "--import-mode=importlib")
    assert code == 0, output[-3000:]


def test_every_address_of_the_page_on_the_package_index_is_absolute(metadata):
    tokens = MarkdownIt("commonmark").enable("table").parse(metadata.get_payload())
    inner = [child for token in tokens for child in token.children or ()]
    assert not [token.content for token in (*tokens, *inner) if re.search(r"\b(src|href)=", token.content)]
    addresses = [str(token.attrs[name]) for token in inner for name in ("href", "src") if name in token.attrs]
    assert [address for address in addresses if "/raw/" in address]  # the picture
    assert [address for address in addresses if not address.startswith("https://")] == []


def test_the_addresses_lead_into_one_repository_to_files_that_are_there(metadata):
    repository = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
    text = metadata.get_payload() + " ".join(metadata.get_all("Project-URL"))
    paths = re.findall(rf"{re.escape(repository)}/(?:raw|blob|tree)/HEAD/([^)\s#]+)", text)
    assert len(paths) >= 8
    assert [path for path in paths if not (REPOSITORY / path).exists()] == []


def test_the_metadata_name_the_pythons_and_systems_that_are_tested(metadata):
    classifiers = metadata.get_all("Classifier")
    for version in ("3.11", "3.12", "3.13"):
        assert f"Programming Language :: Python :: {version}" in classifiers


def test_the_wheel_samples_sevens_without_a_run_a_network_or_data(installed, environment, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mnistdiff", "sample", "--digit", "7", "--n", "2", "--seed", "1"],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(installed), HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path)),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().split() == ["inference_samples/digit_7_1.png", "inference_samples/digit_7_2.png"]
    assert b"bundled" in done.stderr


def test_the_wheel_holds_what_the_package_needs_and_nothing_heavy(installed):
    folder = installed / "mnistdiff" / "assets"
    assets = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    models = {path.name for path in bundled_models().values()}
    cards = {path.with_suffix(".json").name for path in bundled_models().values()}
    classifiers = {"classifier_conv.safetensors", "classifier_residual.safetensors"}
    assert assets.keys() == {*models, *cards, *classifiers, "report.html"}
    assert assets["classifier_conv.safetensors"] + assets["classifier_residual.safetensors"] <= 3 * 1024**2
    assert sum(assets[name] for name in models) <= 8 * 1024**2
    graphs = [path.stat().st_size for path in (folder / "graphs").iterdir()]
    assert len(graphs) == 3
    assert max(graphs) < 60_000
    static = Path("mnistdiff", "studio", "static")
    here = Path(__file__).parents[1]
    assert {path.name for path in (installed / static).iterdir()} == {path.name for path in (here / static).iterdir()}
