"""Augmentation on the device, by role: pixels and masks of an example move together.

An operation is a file of this folder, or any `package.module:function`, and is found
by its name. Its `make(**options)` checks the options and returns the operation:

    (fields, roles, key) -> fields

`fields` are arrays with the batch first: pixels are float32 in [0, 1], `b h w c` or
`b t h w c`; masks have the shape of their pixels, with any number of channels and of
any dtype. `roles` says what each field is. An operation changes what it is meant for,
passes the rest on, and draws once for an example: all its fields and all frames of a
clip share the draw. A file's EXAMPLE has options to begin with; the tests that every
operation must pass run with them. `primitives/` has effects of one magnitude each, of
which policies are made; each is an operation as well, by its own name.
"""

import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
from jaxtyping import Array, PRNGKeyArray

from ultrasound_jax.data.spec import COPY
from ultrasound_jax.runs.import_by_name import named
from ultrasound_jax.types import Settings, UltrasoundError

Fields = dict[str, Array]
Roles = Mapping[str, str]  # field -> pixels | mask | labels | number | group
Number = int | float
Operation = Callable[[Fields, Roles, PRNGKeyArray], Fields]

# Operations split their key over the rows of the batch, and JAX's `split(key, n)[i]`
# is `fold_in(key, i)`: the keys of the others must lie where no row is.
BEYOND_ROWS = 2**31
GIVEN = "data"  # `config.data`, which an operation may ask for and no setting gives


class AugmentError(UltrasoundError):
    """An operation that is not there, or an option that it cannot use."""


@dataclass(frozen=True)
class Augment:
    """Operations one after the other."""

    operations: tuple[Operation, ...] = ()

    @cached_property
    def copies(self) -> int:
        """How often an epoch has every example: as many as an operation asks for."""
        return max((getattr(one, "copies", 1) for one in self.operations), default=1)

    @property
    def fields(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """What a training batch must have for it besides the dataset's fields."""
        return {COPY: ((), "int32")} if self.copies > 1 else {}

    def __call__(self, fields: Fields, roles: Roles, *, key: PRNGKeyArray) -> Fields:
        """The fields after all operations; each draws on its own."""
        for place, operation in enumerate(self.operations):
            # The first gets the key as it is, so that adding others changes no draw.
            own = jax.random.fold_in(key, BEYOND_ROWS + place) if place else key
            fields = operation(fields, roles, own)
        return fields


def names() -> tuple[str, ...]:
    """The operations of this folder."""
    modules = (m.name for m in pkgutil.iter_modules(__path__) if not m.ispkg)
    return tuple(sorted(name for name in modules if not name.startswith("_")))


def build(operations: Any, *, data: Settings | None = None) -> Augment:
    """The augmentation that `config.augment` lists, in its order.

    Args:
        operations: a list of `{"name": …}` with the operation's options beside it.
        data: `config.data`, for operations that ask which fold is trained.

    Raises:
        AugmentError: an operation or an option is unknown, missing or out of range.
        NotFoundError: nothing stands behind the name of a user's own operation.
    """
    if not isinstance(operations, list | tuple):
        raise AugmentError(
            f"config.augment={operations!r} is not allowed: it must be a list of "
            'operations, such as [{"name": …}], or [] for none'
        )
    made = [
        _operation(one, f"config.augment[{place}]", data)
        for place, one in enumerate(operations)
    ]
    several = [one for one in made if getattr(one, "copies", 1) > 1]
    if len(several) > 1:
        raise AugmentError(
            "config.augment has several operations that want copies of every example; "
            "one may"
        )
    return Augment(tuple(made))


def completed(operations: Any) -> list[dict[str, Any]]:
    """The operations with the options that they leave to defaults written out.

    Raises:
        AugmentError, NotFoundError: as `build`.
    """
    build(operations)
    return [_completed(one) for one in operations]


def _completed(settings: Mapping[str, Any]) -> dict[str, Any]:
    make = _find(settings["name"], "")
    options = [o for n, o in inspect.signature(make).parameters.items() if n != GIVEN]
    defaults = {o.name: o.default for o in options if o.default is not o.empty}
    whole = defaults | dict(settings)
    more = getattr(inspect.getmodule(make), "completed", None)
    if more is None or ":" in settings["name"]:
        return whole
    return more(whole)


def _operation(settings: Any, where: str, data: Settings | None) -> Operation:
    if not isinstance(settings, Mapping) or not isinstance(settings.get("name"), str):
        raise AugmentError(
            f'{where}={settings!r} is not allowed: it must be {{"name": …}} with '
            f"options; there are {', '.join(names())}"
        )
    name = settings["name"]
    options = {key: value for key, value in settings.items() if key != "name"}
    make = _find(name, where)
    _check_options(name, make, options, where)
    if GIVEN in inspect.signature(make).parameters:
        options[GIVEN] = data
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
    if name in names():
        return named(f"{__name__}.{name}", "make", setting=f"{where}.name")
    known = named(f"{__name__}.primitives", "names", setting=where)()
    if name not in known:
        raise AugmentError(
            f"{where}.name={name!r} is not allowed: there are {', '.join(names())}, "
            "or package.module:function of your own; and one by one what policies are "
            f"made of: {', '.join(known)}"
        )
    return named(f"{__name__}._single", "maker", setting=where)(name)


def _check_options(
    name: str, make: Callable[..., Operation], options: Mapping[str, Any], where: str
) -> None:
    known = dict(inspect.signature(make).parameters)
    known.pop(GIVEN, None)
    told = f"'{name}' has {', '.join(sorted(known)) or 'no options'}"
    if any(option.kind is option.VAR_KEYWORD for option in known.values()):
        return
    for option in options:
        if option not in known:
            raise AugmentError(f"{where}.{option} is no option: {told}")
    for option, parameter in known.items():
        if parameter.default is parameter.empty and option not in options:
            raise AugmentError(f"{where} lacks '{option}': {told}")
