"""What a user installs: a wheel that draws digits by itself, anywhere."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The wheel, built and unpacked far from its source."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, REPOSITORY]
    subprocess.run(build, check=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", folder / "site", wheel], check=True, timeout=120)
    return folder / "site"


def test_the_wheel_draws_a_seven_without_a_run_a_network_or_data(installed, environment, tmp_path):
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
    assert b"drawing from the bundled model" in done.stderr


def test_the_wheel_holds_what_the_package_needs_and_nothing_heavy(installed):
    folder = installed / "mnistdiff" / "assets"
    assets = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    assert assets.keys() == {
        "classifier_conv.safetensors",
        "classifier_residual.safetensors",
        "pretrained.json",
        "pretrained.safetensors",
        "report.html",
    }
    assert assets["classifier_conv.safetensors"] + assets["classifier_residual.safetensors"] <= 3 * 1024**2
    assert assets["pretrained.safetensors"] <= 4 * 1024**2
    graphs = [path.stat().st_size for path in (folder / "graphs").iterdir()]
    assert len(graphs) == 3
    assert max(graphs) < 60_000
