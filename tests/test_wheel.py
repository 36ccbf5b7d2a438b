"""What one gets who installs a wheel and has no checkout."""

import importlib
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOAD = """
import sys
from ultrasound_jax import config, config_file
settings = config.load(sys.argv[1])
assert "configs" not in sys.modules
print(config.__file__, config_file.find(sys.argv[1]), settings.data.name, sep="\\n")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of the working tree, built from a copy that holds no old build."""
    pytest.importorskip("setuptools", reason="a wheel is built with setuptools")
    pytest.importorskip("wheel", reason="a wheel is built with wheel")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    nothing = shutil.ignore_patterns("__pycache__")
    for name in ("ultrasound_jax", "configs"):
        shutil.copytree(ROOT / name, source / name, ignore=nothing)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--no-index", "--wheel-dir", str(out)]
    subprocess.run([*command, str(source)], check=True)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory):
    """The wheel's files, as they lie when installed."""
    folder = tmp_path_factory.mktemp("site")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def run(site, cwd, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(site), "JAX_PLATFORMS": "cpu"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
    )


def test_nothing_is_installed_beside_the_package(site):
    names = {path.name for path in site.iterdir()}
    (info,) = (name for name in names if name.endswith(".dist-info"))
    assert names == {"ultrasound_jax", info}


def test_the_wheel_has_what_the_checkout_has(site):
    def files(folder, *patterns):
        found = (path for pattern in patterns for path in folder.glob(pattern))
        return {path.relative_to(folder) for path in found}

    package = files(ROOT / "ultrasound_jax", "**/*.py", "py.typed")
    configs = {Path("configs") / path for path in files(ROOT / "configs", "*.py")}
    assert files(site / "ultrasound_jax", "**/*.py", "py.typed") == package | configs
    told = ("datasets/*/README.md", "datasets/*/*.txt", "datasets/*/*.bib")
    told += ("datasets/*/*.tsv",)
    assert files(site / "ultrasound_jax", *told) == files(
        ROOT / "ultrasound_jax", *told
    )


def test_commands_lead_to_functions(site):
    (entries,) = site.glob("*.dist-info/entry_points.txt")
    scripts = PROJECT["project"]["scripts"]
    assert set(scripts) == {"ultrasound-jax"} | {
        f"ultrasound-jax-{part}" for part in ("analysis", "dicom", "predict")
    }
    for name, target in scripts.items():
        assert f"{name} = {target}" in entries.read_text()
        module, _, function = target.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("file", ["configs/luvnet.py:pocus", "./configs/luvnet.py"])
def test_the_shipped_configurations_are_found_in_any_folder(site, tmp_path, file):
    done = run(site, tmp_path, "-c", LOAD, file)
    assert done.returncode == 0, done.stderr
    module, found, name = done.stdout.split()
    assert module == str(site / "ultrasound_jax/config.py")
    assert found.startswith(str(site / "ultrasound_jax/configs/luvnet.py"))
    assert name == ("pocus" if "pocus" in file else "lus_phantom")


def test_a_file_of_ones_own_comes_first_and_may_use_ours(site, tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/luvnet.py").write_text(
        "from configs._base import base\n"
        "def get_config(arg):\n"
        "    config = base()\n"
        "    config.data.name = 'mine'\n"
        "    return config\n"
    )
    done = run(site, tmp_path, "-c", LOAD, "configs/luvnet.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[1:] == ["configs/luvnet.py", "mine"]


def test_the_command_takes_a_shipped_configuration(site, tmp_path):
    given = ["--config", "configs/luvnet.py:pocus", "--config.optim.lr=1", "word"]
    done = run(site, tmp_path, "-m", "ultrasound_jax.main", *given)
    assert done.returncode == 2
    assert "unexpected argument 'word'" in done.stderr
    assert str(site / "ultrasound_jax/configs/luvnet.py:pocus") in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_configuration_that_is_not_there_is_answered_with_those_that_are(
    site, tmp_path
):
    done = run(site, tmp_path, "-c", LOAD, "configs/luvnt.py")
    shipped = {path.name for path in (ROOT / "configs").glob("[!_]*.py")}
    named = done.stderr.strip().splitlines()[-1]
    assert all(f"configs/{name}" in named for name in shipped)
