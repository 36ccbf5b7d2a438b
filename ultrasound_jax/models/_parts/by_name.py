"""Networks and encoders by name: of a file of `models/`, or of a user's own module.

A shipped name begins with the name of its file, the longest one that fits: `x3d_s` is
of `x3d.py`, `luvnet_no_temporal` of `luvnet.py`. The file says which names it has, as
`NETWORKS = {"luvnet": LuvNet, …}`; `ENCODERS` has those that make an image a vector.
`package.module:Class` is a class of anybody's.
"""

import inspect
import pkgutil
from importlib import import_module
from typing import Any

from flax import nnx

from ultrasound_jax.models._parts.checks import OptionError, one_line

PACKAGE = "ultrasound_jax.models"
NETWORKS, ENCODERS = "NETWORKS", "ENCODERS"
CONTRACT = "an nnx.Module that is made by Class(given, *, option=default, …) and called"


def files() -> list[str]:
    """The files of `models/` that may have networks, by name."""
    found = pkgutil.iter_modules(import_module(PACKAGE).__path__)
    return sorted(file.name for file in found if not file.name.startswith("_"))


def names(table: str) -> list[str]:
    """Every shipped name of `NETWORKS` or `ENCODERS`."""
    return sorted(name for file in files() for name in _table(file, table))


def find(table: str, option: str, name: Any) -> type[Any]:
    """The class of that name.

    Raises `OptionError`, which calls it `option` and lists what is allowed, where there
    is none or where it is not made as networks are made.
    """
    if ":" in str(name):
        kind = _anybodys(option, str(name))
        if table == NETWORKS and not _takes_rngs(kind):
            raise OptionError(option, name, f"{CONTRACT} with rngs=None at the end")
        return kind
    fitting = [file for file in files() if str(name).startswith(file)]
    found = _table(max(fitting, key=len), table) if fitting else {}
    if str(name) not in found:
        allowed = f"{', '.join(names(table))}, or package.module:Class"
        raise OptionError(option, name, allowed)
    return found[str(name)]


def options_of(kind: type[Any]) -> dict[str, Any]:
    """The options of a class of this contract with their defaults."""
    _, _, *own = inspect.signature(kind.__init__).parameters.values()
    return {parameter.name: parameter.default for parameter in own}


def _table(file: str, table: str) -> dict[str, type[Any]]:
    return getattr(import_module(f"{PACKAGE}.{file}"), table, {})


def _anybodys(option: str, name: str) -> type[Any]:
    module, _, attribute = name.partition(":")
    try:
        kind = getattr(import_module(module), attribute)
    except Exception as error:  # it is anybody's code
        allowed = f"a package.module:Class that can be imported ({one_line(error)})"
        raise OptionError(option, name, allowed) from error
    if not fits_contract(kind):
        raise OptionError(option, name, CONTRACT)
    return kind


def _takes_rngs(kind: type[Any]) -> bool:
    called = inspect.signature(kind.__call__).parameters.values()
    return any(p.name == "rngs" or p.kind is p.VAR_KEYWORD for p in called)


def fits_contract(kind: Any) -> bool:
    """Whether it is made with one value that is given and options with defaults."""
    if not (isinstance(kind, type) and issubclass(kind, nnx.Module)):
        return False
    if not any("__call__" in vars(parent) for parent in kind.__mro__):
        return False
    _, *taken = inspect.signature(kind.__init__).parameters.values()
    if not taken or taken[0].kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD:
        return False
    named = inspect.Parameter.KEYWORD_ONLY
    return all(p.kind is named and p.default is not p.empty for p in taken[1:])
