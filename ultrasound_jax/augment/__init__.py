"""Augmentation on the device, by role: pixels and masks of an example move together.

An operation is a file of this folder, or any `package.module:function`, and is found
by its name. Its `make(**options)` checks the options and returns the operation:

    (fields, roles, key) -> fields

`fields` are arrays with the batch first: pixels are float32 in [0, 1], `b h w c` or
`b t h w c`; masks have the shape of their pixels, with any number of channels and of
any dtype. `roles` says what each field is. An operation changes what it is meant for,
passes the rest on, and draws once for an example: all its fields and all frames of a
clip share the draw. A file's EXAMPLE has options to begin with; the tests that every
operation must pass run with them.
"""

import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
from jaxtyping import Array, PRNGKeyArray

from ultrasound_jax.runs.import_by_name import named
from ultrasound_jax.types import UltrasoundError

Fields = dict[str, Array]
Roles = Mapping[str, str]  # field -> pixels | mask | labels | number | group
Number = int | float
Operation = Callable[[Fields, Roles, PRNGKeyArray], Fields]

# Operations split their key over the rows of the batch, and JAX's `split(key, n)[i]`
# is `fold_in(key, i)`: the keys of the others must lie where no row is.
BEYOND_ROWS = 2**31


class AugmentError(UltrasoundError):
    """An operation that is not there, or an option that it cannot use."""


@dataclass(frozen=True)
class Augment:
    """Operations one after the other."""

    operations: tuple[Operation, ...] = ()

    def __call__(self, fields: Fields, roles: Roles, *, key: PRNGKeyArray) -> Fields:
        """The fields after all operations; each draws on its own."""
        for place, operation in enumerate(self.operations):
            # The first gets the key as it is, so that adding others changes no draw.
            own = jax.random.fold_in(key, BEYOND_ROWS + place) if place else key
            fields = operation(fields, roles, own)
        return fields


def names() -> tuple[str, ...]:
    """The operations of this folder."""
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in modules if not name.startswith("_")))


def build(operations: Any) -> Augment:
    """The augmentation that `config.augment` lists, in its order.

    Args:
        operations: a list of `{"name": …}` with the operation's options beside it.

    Raises:
        AugmentError: an operation or an option is unknown, missing or out of range.
        NotFoundError: nothing stands behind the name of a user's own operation.
    """
    if not isinstance(operations, list | tuple):
        raise AugmentError(
            f"config.augment={operations!r} is not allowed: it must be a list of "
            'operations, such as [{"name": …}], or [] for none'
        )
    made = [_operation(one, f"config.augment[{i}]") for i, one in enumerate(operations)]
    return Augment(tuple(made))


def completed(operations: Any) -> list[dict[str, Any]]:
    """The operations with the options that they leave to defaults written out.

    Raises:
        AugmentError, NotFoundError: as `build`.
    """
    build(operations)
    return [_defaults(one["name"]) | dict(one) for one in operations]


def _defaults(name: str) -> dict[str, Any]:
    options = inspect.signature(_find(name, "")).parameters.values()
    return {o.name: o.default for o in options if o.default is not o.empty}


def _operation(settings: Any, where: str) -> Operation:
    if not isinstance(settings, Mapping) or not isinstance(settings.get("name"), str):
        raise AugmentError(
            f'{where}={settings!r} is not allowed: it must be {{"name": …}} with '
            f"options; there are {', '.join(names())}"
        )
    name = settings["name"]
    options = {key: value for key, value in settings.items() if key != "name"}
    make = _find(name, where)
    _check_options(name, make, options, where)
    try:
        return make(**options)
    except AugmentError as error:
        raise AugmentError(f"{where}.{error}") from error
    except (TypeError, ValueError) as error:  # of an operation that is not ours
        said = " ".join(str(error).split())
        raise AugmentError(f"{where}: '{name}' refuses its options: {said}") from error


def _find(name: str, where: str) -> Callable[..., Operation]:
    """The function that makes an operation: ours by its file, or `package.module:f`."""
    module, colon, function = name.partition(":")
    if colon:
        return named(module, function, setting=f"{where}.name")
    if name not in names():
        raise AugmentError(
            f"{where}.name={name!r} is not allowed: there are {', '.join(names())}, "
            "or package.module:function of your own"
        )
    return named(f"{__name__}.{name}", "make", setting=f"{where}.name")


def _check_options(
    name: str, make: Callable[..., Operation], options: Mapping[str, Any], where: str
) -> None:
    known = inspect.signature(make).parameters
    told = f"'{name}' has {', '.join(sorted(known)) or 'no options'}"
    if any(option.kind is option.VAR_KEYWORD for option in known.values()):
        return
    for option in options:
        if option not in known:
            raise AugmentError(f"{where}.{option} is no option: {told}")
    for option, parameter in known.items():
        if parameter.default is parameter.empty and option not in options:
            raise AugmentError(f"{where} lacks '{option}': {told}")
