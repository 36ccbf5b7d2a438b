"""Collects the locked wheels for another Python and for machines without internet.

    python -m tools.wheelhouse wheelhouse --python-version 3.12

Run where there is internet; `docs/installing.md` says how to install from the folder.
The versions are those of `requirements.txt`, chosen for the other Python and platform.
What is published as source alone is built here, which is of use elsewhere only if
nothing in it is compiled: anything else is refused.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements.txt"
# What wheels of today are built for, newest first; systems may be younger.
PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")


class WheelhouseError(Exception):
    """The message is one line that names the package and what was allowed."""


def pinned(
    python_version: str, *, machine: str = "x86_64", extras: Sequence[str] = ()
) -> list[str]:
    """The lines `name==version` of the lock that another Python needs.

    Args:
        python_version: such as 3.12.
        machine: of Linux, `x86_64` or `aarch64`.
        extras: of `pyproject.toml`, on top of what the program needs.
    """
    command = ["uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
    command += ["--python-version", python_version]
    command += ["--python-platform", f"{machine}-{PLATFORMS[0]}"]
    command += [word for extra in extras for word in ("--extra", extra)]
    command += ["--constraint", str(LOCK), str(ROOT / "pyproject.toml")]
    # `uv` stands beside this Python, whether or not its folder is searched.
    command[0] = str(Path(sys.executable).with_name("uv"))
    return _run(command, "the lock cannot be resolved").split()


def collect(
    folder: Path,
    requirements: Sequence[str],
    *,
    python_version: str,
    machine: str = "x86_64",
) -> list[Path]:
    """Downloads the wheels into a folder, and returns them.

    Args:
        folder: is made; wheels that lie there already are not fetched anew.
        requirements: lines `name==version`.
        python_version: such as 3.12.
        machine: of Linux.

    Raises:
        WheelhouseError: a package has no wheel for that Python and platform, and
            cannot be built for any.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = ["--python-version", python_version, "--implementation", "cp"]
    for platform in PLATFORMS:
        target += ["--platform", f"{platform}_{machine}"]
    ready, sources = list(requirements), []
    while without := _download(folder, ready, target, f"{python_version}, {machine}"):
        ready.remove(without)
        sources.append(without)
    for one in sources:
        build(one, folder)
    return sorted(folder.glob("*.whl"))


def _download(
    folder: Path, requirements: Sequence[str], target: Sequence[str], where: str
) -> str | None:
    """Fetches wheels, or returns one that there is not."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
        wanted.write("\n".join(requirements))
        wanted.flush()
        words = ["--only-binary=:all:", "--no-deps", "--requirement", wanted.name]
        command = ["download", *words, *target, "--dest", str(folder)]
        try:
            _pip(command, f"no wheels for Python {where}")
        except WheelhouseError as error:
            said = re.search(r"No matching distribution found for (\S+)", str(error))
            if said is None or said[1] not in requirements:
                raise
            return said[1]
    return None


def build(requirement: str, folder: Path) -> None:
    """Builds a wheel that fits any Python and platform, or refuses."""
    with tempfile.TemporaryDirectory() as made:
        words = ["wheel", "--no-deps", requirement, "--wheel-dir", made]
        _pip(words, f"{requirement} cannot be built")
        [wheel] = Path(made).glob("*.whl")
        if not wheel.name.endswith("-none-any.whl"):
            raise WheelhouseError(
                f"{requirement} is published as source alone and holds compiled code "
                f"({wheel.name}): allowed are packages without"
            )
        (folder / wheel.name).write_bytes(wheel.read_bytes())


def build_ours(folder: Path) -> None:
    """Builds our own wheel, of a copy of the files that holds no old build."""
    with tempfile.TemporaryDirectory() as copied:
        for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, copied)
        nothing = shutil.ignore_patterns("__pycache__")
        for name in ("ultrasound_jax", "configs"):
            shutil.copytree(ROOT / name, Path(copied) / name, ignore=nothing)
        build(copied, folder)


def _pip(words: Sequence[str], trouble: str) -> str:
    return _run([sys.executable, "-m", "pip", "--quiet", *words], trouble)


def _run(command: Sequence[str], trouble: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise WheelhouseError(f"{trouble}: {said[-500:]}")
    return done.stdout


def main(argv: Sequence[str] | None = None) -> int:
    """Fills the folder; a trouble is one line and exit code 2."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    running = "{}.{}".format(*sys.version_info)
    parser.add_argument("--python-version", default=running, help=f"such as {running}")
    parser.add_argument("--machine", default="x86_64", help="x86_64 or aarch64")
    parser.add_argument("--extras", default="", help="such as gpu,build,dev,docs")
    given = parser.parse_args(argv)
    extras = [one for one in given.extras.split(",") if one]
    try:
        wanted = pinned(given.python_version, machine=given.machine, extras=extras)
        options = {"python_version": given.python_version, "machine": given.machine}
        collect(given.folder, wanted, **options)
        build_ours(given.folder)
    except WheelhouseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    (given.folder / "requirements.txt").write_text("\n".join(sorted(wanted)) + "\n")
    wheels = sorted(given.folder.glob("*.whl"))
    size = sum(wheel.stat().st_size for wheel in wheels)
    print(f"{len(wheels)} wheels, {size / 2**20:.0f} MiB: {given.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
