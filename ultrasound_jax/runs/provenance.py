"""Who computed a number: command, commit, versions, hardware, date."""

import datetime
import platform
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import psutil

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")
# Where a new file changes what a command does: a dataset, a network, settings.
CODE = (":(top)ultrasound_jax", ":(top)configs", ":(top)experiments")


def facts() -> dict[str, str]:
    """What a reader needs to repeat a result; nothing that names a person.

    The command has its program without folders, and absolute folders among its
    arguments are cut to their last name.
    """
    import jax  # for the devices only: what runs the limited workers does without

    devices = jax.devices()
    return {
        "command": command(),
        "commit": commit(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "devices": f"{len(devices)} x {devices[0].device_kind}",
        "processes": str(jax.process_count()),
        "cpu": f"{cpu_name()}, {psutil.cpu_count()} cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "python": platform.python_version(),
        "packages": ", ".join(f"{p} {metadata.version(p)}" for p in PACKAGES),
    }


def command() -> str:
    """The command line as one would type it in the project's folder."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    program = f"-m {spec.name}" if spec else _in_project(Path(sys.argv[0]))
    return shlex.join(["python", *program.split(), *map(_short, sys.argv[1:])])


def _in_project(path: Path) -> str:
    root, path = Path(__file__).parents[2], path.absolute()
    return str(path.relative_to(root) if path.is_relative_to(root) else path.name)


def _short(argument: str) -> str:
    name, equals, value = argument.partition("=")
    if not equals:
        name, value = "", argument
    path, colon, arg = value.partition(":")
    if Path(path).is_absolute():
        value = f"…/{Path(path).name}{colon}{arg}"
    return f"{name}{equals}{value}"


def commit() -> str:
    """The commit of the code, with `+` where files differ from it.

    Files that Git does not know count where code and settings lie (CODE).
    """
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(  # noqa: S603 - fixed arguments
            ["git", *arguments],  # noqa: S607
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        changed += git("ls-files", "--others", "--exclude-standard", "--", *CODE)
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return f"version {metadata.version('ultrasound-jax')}"


def cpu_name() -> str:
    """The processor's name as the system gives it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
