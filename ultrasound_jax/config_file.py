"""Configuration files: which one is meant, and the settings that it makes."""

import contextlib
import importlib
import importlib.util
import sys
import threading
import traceback
import types
from collections.abc import Iterator, Sequence
from pathlib import Path

from ml_collections import ConfigDict

from ultrasound_jax.types import Settings, UltrasoundError


class ConfigError(UltrasoundError):
    """A setting, a configuration file or a run's folder that cannot be used."""


def find(config_file: str) -> str:
    """The file that `path[:arg]` means, with its arg: here, or one that comes with us.

    `configs/luvnet.py` is the shipped one wherever there is no such file.
    """
    path, colon, arg = config_file.partition(":")
    if Path(path).is_file():
        return config_file
    shipped = _shipped() / Path(path).name
    if Path(path).parent == Path("configs") and shipped.is_file():
        return f"{shipped}{colon}{arg}"
    files = [*Path("configs").glob("[!_]*.py"), *_shipped().glob("[!_]*.py")]
    known = ", ".join(sorted({f"configs/{file.name}" for file in files}))
    raise ConfigError(f"no configuration file '{path}'; there is: {known or 'none'}")


def named(argv: Sequence[str]) -> str:
    """The `path[:arg]` that the command line gives with --config, or nothing."""
    given = [arg.lstrip("-") for arg in argv if arg.startswith("-")]
    files = [arg.removeprefix("config=") for arg in given if arg.startswith("config=")]
    following = [b for a, b in zip(argv, argv[1:], strict=False) if a == "--config"]
    return (files + following or [""])[-1]


def located(argv: Sequence[str]) -> list[str]:
    """The command line with the file that `--config=FILE` means."""
    found = list(argv)
    for place, arg in enumerate(argv):
        flag, equals, file = arg.partition("=")
        if flag in ("-config", "--config") and equals:
            found[place] = f"{flag}={find(file)}"
        elif place and argv[place - 1] in ("-config", "--config"):
            found[place] = find(arg)
    return found


def _shipped() -> Path:
    """The folder `configs` that comes with us: in the package, or beside it."""
    package = Path(__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


_ONE_AT_A_TIME = threading.RLock()  # what `import` finds is one for all threads


@contextlib.contextmanager
def importable() -> Iterator[None]:
    """`from configs._base import base` works in a configuration file, and only there.

    Wherever we are installed there is no package `configs`, and if there is one it is
    somebody else's.
    """
    with _ONE_AT_A_TIME:
        others = {n: m for n, m in sys.modules.items() if n.split(".")[0] == "configs"}
        for name in others:
            del sys.modules[name]
        ours = types.ModuleType("configs")
        ours.__path__ = [str(_shipped())]
        sys.modules["configs"] = ours
        try:
            yield
        finally:
            for name in [n for n in sys.modules if n.split(".")[0] == "configs"]:
                del sys.modules[name]
            sys.modules.update(others)


def defaults() -> Settings:
    """Every setting there is, with its default: those of the shipped `_base.py`."""
    with importable():
        return importlib.import_module("configs._base").base()


def load(config_file: str) -> Settings:
    """Reads `path[:arg]`, where the file's `get_config(arg)` makes the settings."""
    path, _, arg = find(config_file).partition(":")
    spec = importlib.util.spec_from_file_location("experiment_config", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"'{path}' is not a Python file with get_config(arg)")
    module = importlib.util.module_from_spec(spec)
    try:
        with importable():
            spec.loader.exec_module(module)
        if not hasattr(module, "get_config"):
            raise ConfigError(f"'{path}' has no get_config(arg); configs/luvnet.py has")
        config = module.get_config(arg)
    except ConfigError:
        raise
    except ValueError as error:  # how get_config says that there is no such variant
        raise ConfigError(str(error)) from error
    except Exception as error:  # it is anybody's code
        line = traceback.extract_tb(error.__traceback__)[-1]
        where = error.lineno if isinstance(error, SyntaxError) else line.lineno
        raise ConfigError(
            f"'{path}' cannot be used: {type(error).__name__}: {error} "
            f"({Path(line.filename).name}, line {where})"
        ) from error
    if not isinstance(config, ConfigDict):
        raise ConfigError(
            f"'{path}': get_config gives {config!r}; it must give a ConfigDict, as "
            "configs/luvnet.py does"
        )
    return config
