"""Reads an old-style PyTorch archive of plain tensors, and nothing else.

Until version 1.6 `torch.save` wrote five pickles (a magic number, a version, the
machine, the state dict, the keys of its storages) and behind them the storages' bytes.
A pickle is a program and may do anything; here nothing of it is run. `pickletools`
takes it apart, and the few operations that such a state dict consists of are done by
`_Machine`, which knows five kinds of values: numbers, texts, lists, dicts, tensors. Any
other operation, any other name that the file calls, and any tensor that reaches beyond
its storage is refused.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from pickletools import genops
from typing import IO, Any, cast

import ml_dtypes
import numpy as np

from ultrasound_jax.models._parts.checks import ModelError

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
PROTOCOL = 2  # of the pickles
MOST_OPERATIONS = 1_000_000  # of all pickles; a state dict has some twenty a tensor
LONGEST_LINE = 1000  # bytes
MOST_AXES = 32
STORAGES = {
    "torch DoubleStorage": np.dtype("<f8"),
    "torch FloatStorage": np.dtype("<f4"),
    "torch HalfStorage": np.dtype("<f2"),
    "torch BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "torch LongStorage": np.dtype("<i8"),
    "torch IntStorage": np.dtype("<i4"),
    "torch ShortStorage": np.dtype("<i2"),
    "torch CharStorage": np.dtype("i1"),
    "torch ByteStorage": np.dtype("u1"),
    "torch BoolStorage": np.dtype("?"),
}
ORDERED, TENSOR = "collections OrderedDict", "torch._utils _rebuild_tensor_v2"
GLOBALS = (ORDERED, TENSOR, *STORAGES)
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
NUMBERS = ("BININT", "BININT1", "BININT2", "LONG1")
TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Refused(Exception):
    """Why a file is not read; without the file's name."""


@dataclass(frozen=True)
class _Name:
    """A class or function that the file calls by its name; it is never looked up."""

    text: str


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype
    numbers: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Inside:
    """A file that is never asked for more than it has, whatever it says of itself."""

    def __init__(self, file: BufferedReader, size: int) -> None:
        self.file, self.size = file, size
        self.tell = file.tell

    def left(self) -> int:
        """How many bytes are still to be read."""
        return self.size - self.tell()

    def read(self, count: int) -> bytes:
        """So many bytes, or those that are left."""
        return self.file.read(min(count, self.left()))

    def readline(self) -> bytes:
        """The rest of a line, which is a name and no book."""
        return self.file.readline(LONGEST_LINE)


def read_archive(path: str | Path) -> dict[str, np.ndarray]:
    """Every tensor of an old-style archive that holds one state dict.

    Raises:
        ModelError: names the file and what in it is not of such an archive.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise _Refused("there is no such file")
        with path.open("rb") as file:
            return _read(_Inside(file, path.stat().st_size))
    except _Refused as error:
        raise ModelError(f"{path}: {error}") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error


def _read(file: _Inside) -> dict[str, np.ndarray]:
    if file.file.peek(2)[:2] == b"PK":
        raise _Refused(
            "a zip archive, as PyTorch 1.6 and later write; only older ones are read"
        )
    machine = _Machine()
    if machine.value_of(file, "its magic number") != MAGIC:
        raise _Refused("it does not begin as an old-style PyTorch archive does")
    if machine.value_of(file, "its version") != VERSION:
        raise _Refused(f"its version is not {VERSION}, the only one known")
    about = machine.value_of(file, "the machine's description")
    if not isinstance(about, dict) or about.get("little_endian") is not True:
        raise _Refused("it was written on a machine of another order of bytes")
    state = machine.value_of(file, "the state dict")
    tensors = _tensors_of(state)
    keys = machine.value_of(file, "the list of storages")
    storages = _storages(file, keys, machine.storages)
    return {name: _filled(name, one, storages) for name, one in tensors.items()}


@dataclass
class _Machine:
    """Does what a pickle of plain tensors says; each pickle by itself.

    storages: those that were named so far, by key.
    """

    storages: dict[str, _Storage] = field(default_factory=dict)
    operations: int = 0

    def value_of(self, file: _Inside, what: str) -> Any:
        """What the pickle at the file's place makes; the place is then behind it."""
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        try:
            for name, argument in self._operations(file):
                self._do(name, argument)
            (value,) = self.stack
        except (IndexError, KeyError, ValueError, TypeError, OverflowError) as error:
            kind = type(error).__name__
            raise _Refused(f"{what} is damaged or cut off ({kind})") from error
        return value

    def _operations(self, file: _Inside) -> Iterator[tuple[str, Any]]:
        for operation, argument, _ in genops(cast(IO[bytes], file)):
            self.operations += 1
            if self.operations > MOST_OPERATIONS:
                raise _Refused(f"it has more than {MOST_OPERATIONS:,} operations")
            yield operation.name, argument

    def _do(self, name: str, argument: Any) -> None:
        if name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name in NUMBERS or name == "BINUNICODE":
            self.stack.append(argument)
        elif name in TUPLES:
            self.stack.append(tuple(self._taken(TUPLES[name])))
        elif name == "TUPLE":
            self.stack.append(tuple(self._to_mark()))
        elif name in ("EMPTY_DICT", "EMPTY_LIST"):
            self.stack.append({} if name == "EMPTY_DICT" else [])
        elif name == "MARK":
            self.marks.append(len(self.stack))
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif name in ("APPEND", "APPENDS"):
            more = self._to_mark() if name == "APPENDS" else self._taken(1)
            self._top(list).extend(more)
        elif name in ("SETITEM", "SETITEMS"):
            self._set(self._to_mark() if name == "SETITEMS" else self._taken(2))
        elif name == "GLOBAL":
            if argument not in GLOBALS:
                raise _Refused(
                    f"it calls {_short(argument)}; allowed are {', '.join(GLOBALS)}"
                )
            self.stack.append(_Name(argument))
        elif name == "BINPERSID":
            self.stack.append(self._storage(*self._taken(1)))
        elif name == "REDUCE":
            self.stack.append(self._called(*self._taken(2)))
        elif name == "BUILD":
            (attributes,) = self._taken(1)
            self._top(dict)
            if type(attributes) is not dict or [*attributes] != ["_metadata"]:
                raise _Refused("it sets attributes; allowed is _metadata of a dict")
        elif (name, argument) not in (("PROTO", PROTOCOL), ("STOP", None)):
            said = name if argument is None else f"{name} {str(argument)[:20]}"
            raise _Refused(f"it holds the operation {said}; no state dict needs it")

    def _taken(self, count: int) -> list[Any]:
        """The last values; never those below a mark."""
        least = self.marks[-1] if self.marks else 0
        at = len(self.stack) - count
        if at < least:
            raise IndexError
        taken = self.stack[at:]
        del self.stack[at:]
        return taken

    def _to_mark(self) -> list[Any]:
        at = self.marks.pop()
        taken = self.stack[at:]
        del self.stack[at:]
        return taken

    def _top(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise TypeError
        return self.stack[-1]

    def _set(self, pairs: list[Any]) -> None:
        target = self._top(dict)
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(key, str):
                raise _Refused("it has a dict whose keys are no texts")
            if key in target:
                raise _Refused(f"it has {_short(key)} twice")
            target[key] = value

    def _called(self, what: Any, arguments: Any) -> Any:
        """What the two functions that may be called return."""
        named = what.text if isinstance(what, _Name) else "what has no name"
        if named == ORDERED and arguments == ():
            return {}
        if named != TENSOR:
            raise _Refused(f"it calls {named} in a way that no state dict needs")
        storage, offset, shape, strides, _, hooks = arguments
        numbers = (offset, *shape, *strides)
        if not all(type(one) is int and one >= 0 for one in numbers):
            raise _Refused("it has a tensor with a negative place or size")
        if not isinstance(storage, _Storage) or len(shape) != len(strides) or hooks:
            raise _Refused("it has a tensor that is more than its numbers")
        return _Tensor(storage, offset, shape, strides)

    def _storage(self, named: Any) -> _Storage:
        word, kind, key, _, numbers, view = named
        if word != "storage" or view is not None or type(numbers) is not int:
            raise _Refused("it has a storage of another kind than a plain one")
        if not isinstance(kind, _Name) or kind.text not in STORAGES:
            raise _Refused(f"it has a storage that is none of {', '.join(STORAGES)}")
        if not isinstance(key, str) or numbers < 0:
            raise TypeError
        one = _Storage(key, STORAGES[kind.text], numbers)
        if self.storages.setdefault(key, one) != one:
            raise _Refused(f"it says of storage {_short(key)} two different things")
        return one


def _tensors_of(state: Any) -> Mapping[str, _Tensor]:
    if type(state) is not dict or not state:
        raise _Refused("it holds no state dict")
    for name, value in state.items():
        if not isinstance(value, _Tensor):
            kind = type(value).__name__
            raise _Refused(f"{_short(name)} is no tensor but of kind {kind}")
    return state


def _storages(
    file: _Inside, keys: Any, known: Mapping[str, _Storage]
) -> dict[str, np.ndarray]:
    """The numbers of each storage, in the order in which they lie in the file."""
    texts = type(keys) is list and all(isinstance(key, str) for key in keys)
    if not texts or sorted(keys) != sorted(known):
        raise _Refused("its list of storages is not that of its tensors")
    found = {}
    for key in keys:
        storage = known[key]
        stated, length = file.read(8), storage.numbers * storage.dtype.itemsize
        if len(stated) < 8 or length > file.left():
            raise _Refused(f"it is cut off within storage {_short(key)}")
        if int.from_bytes(stated, "little") != storage.numbers:
            raise _Refused(f"storage {_short(key)} has another length than was said")
        found[key] = np.frombuffer(file.read(length), storage.dtype)
    if file.read(1):
        raise _Refused("something follows its last storage")
    return found


def _filled(
    name: str, tensor: _Tensor, storages: Mapping[str, np.ndarray]
) -> np.ndarray:
    """The tensor's own numbers, copied from its storage."""
    numbers, shape = storages[tensor.storage.key], tensor.shape
    steps = [
        step if side > 1 else 0
        for side, step in zip(shape, tensor.strides, strict=True)
    ]
    last = sum((side - 1) * step for side, step in zip(shape, steps, strict=True))
    if not 0 < math.prod(shape) <= len(numbers) or len(shape) > MOST_AXES:
        raise _Refused(f"tensor {_short(name)} has not as many numbers as its storage")
    if tensor.offset + last >= len(numbers):
        raise _Refused(f"tensor {_short(name)} reaches beyond its storage")
    view = np.lib.stride_tricks.as_strided(
        numbers[tensor.offset :],
        shape,
        [step * numbers.itemsize for step in steps],
        writeable=False,
    )
    return view.copy()


def _short(text: str) -> str:
    """A text of the file's as one short word of a message."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
