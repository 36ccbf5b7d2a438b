"""Wheels for machines without internet."""

import subprocess
import sys
import sysconfig

import pytest

from tests.conftest import ROOT
from tools import wheelhouse

SMALL = ("absl-py", "tqdm", "msgpack")  # of pure Python, and one of compiled code
OTHER = "3.12" if sys.version_info[:2] != (3, 12) else "3.13"
LOCK = dict(
    line.partition(" ;")[0].split("==")
    for line in (ROOT / "requirements.txt").read_text().splitlines()
)


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """A few locked wheels for another Python, where an index can be reached."""
    folder = tmp_path_factory.mktemp("wheelhouse")
    wanted = [f"{name}=={LOCK[name].strip()}" for name in SMALL]
    try:
        wheelhouse.collect(folder, wanted, python_version=OTHER)
    except wheelhouse.WheelhouseError as error:
        pytest.skip(f"no package index can be reached: {error}")
    return folder


def test_wheels_are_for_the_other_python_at_the_locks_versions(collected):
    names = sorted(wheel.name for wheel in collected.glob("*.whl"))
    assert len(names) == len(SMALL)
    assert names[0].startswith(f"absl_py-{LOCK['absl-py']}-")
    [compiled] = [name for name in names if name.startswith("msgpack")]
    assert f"cp{OTHER.replace('.', '')}" in compiled and "manylinux" in compiled


def test_what_is_pure_python_installs_without_an_index(collected, tmp_path):
    words = ["install", "--no-index", "--find-links", str(collected), "--no-deps"]
    words += ["--target", str(tmp_path), "--quiet", "absl-py"]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True)
    assert (tmp_path / "absl" / "__init__.py").is_file()


def test_a_package_that_no_index_has_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(wheelhouse.WheelhouseError, match="absl-py==0.0.0") as error:
        wheelhouse.collect(tmp_path, ["absl-py==0.0.0"], python_version=OTHER)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("*.whl"))


def test_compiled_code_that_must_be_built_here_is_refused(tmp_path):
    pytest.importorskip("setuptools", reason="a wheel is built with setuptools")
    if not sysconfig.get_config_var("CC"):
        pytest.skip("there is no compiler")
    source = tmp_path / "source"
    source.mkdir()
    (source / "setup.py").write_text(
        "from setuptools import Extension, setup\n"
        "setup(name='made', version='1', py_modules=[],\n"
        "      ext_modules=[Extension('made', ['made.c'], optional=True)])\n"
    )
    (source / "made.c").write_text("")
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(wheelhouse.WheelhouseError) as error:
        wheelhouse.build(str(source), out)
    assert "\n" not in str(error.value) and not list(out.iterdir())
