"""Old-style PyTorch archives: read where they are plain, refused by name elsewhere."""

import struct
from itertools import count

import numpy as np
import pytest
from safetensors.numpy import load_file

from ultrasound_jax.models import ModelError, torch_archive
from ultrasound_jax.models.__main__ import main
from ultrasound_jax.models.torch_archive import (
    MAGIC,
    STORAGES,
    read_archive,
)

# The operations of a pickle, as the format has them (Python's `pickletools`).
BEGIN, END, MARK, REDUCE, TUPLE = b"\x80\x02", b".", b"(", b"R", b"t"
EMPTY, DICT, LIST, SETITEMS, APPENDS = b")", b"}", b"]", b"u", b"e"
TRUE, FALSE, NONE, BUILD, PERSID = b"\x88", b"\x89", b"N", b"b", b"Q"
KINDS = {str(dtype): name.split()[1] for name, dtype in STORAGES.items()}


def text(words):
    encoded = words.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def whole(number):
    if 0 <= number < 256:
        return b"K" + bytes([number])
    if -(2**31) <= number < 2**31:
        return b"J" + struct.pack("<i", number)
    packed = number.to_bytes(number.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(packed)]) + packed


def several(*parts):
    return MARK + b"".join(parts) + TUPLE


def called(module, name, *arguments):
    return f"c{module}\n{name}\n".encode() + several(*arguments) + REDUCE


ORDERED = b"ccollections\nOrderedDict\n" + EMPTY + REDUCE


def tensor(array, key, **changes):
    """How an archive says that a tensor is a whole storage of its own."""
    steps = [step // array.itemsize for step in array.strides]
    given = {
        "kind": f"ctorch\n{KINDS[str(array.dtype)]}\n".encode(),
        "word": text("storage"),
        "key": text(key),
        "numbers": whole(array.size),
        "view": NONE,
        "offset": whole(0),
        "shape": several(*map(whole, array.shape)),
        "strides": several(*map(whole, steps)),
        "hooks": ORDERED,
    } | changes
    storage = several(
        *(given[name] for name in ("word", "kind", "key")),
        text("cuda:0"),
        given["numbers"],
        given["view"],
    )
    return called(
        *("torch._utils", "_rebuild_tensor_v2"),
        *(storage + PERSID, given["offset"], given["shape"], given["strides"]),
        *(FALSE, given["hooks"]),
    )


def pickled(value):
    return BEGIN + value + END


def archive(arrays, **changes):
    """The bytes that `torch.save` wrote of a state dict before its version 1.6."""
    keys = [f"{94_000 + place}" for place in range(len(arrays))]
    put = (b"q" + bytes([place]) for place in count())
    pairs = [
        text(name) + next(put) + tensor(array, key, **changes.get("tensor", {}))
        for key, (name, array) in zip(keys, arrays.items(), strict=True)
    ]
    machine = text("little_endian") + TRUE + text("type_sizes")
    parts = {
        "magic": pickled(whole(MAGIC)),
        "version": pickled(whole(1001)),
        "machine": pickled(DICT + MARK + machine + DICT + SETITEMS),
        "state": pickled(
            ORDERED
            + MARK
            + b"".join(pairs)
            + SETITEMS
            + DICT
            + text("_metadata")
            + ORDERED
            + b"s"
            + BUILD
        ),
        "keys": pickled(LIST + MARK + b"".join(map(text, keys)) + APPENDS),
        "numbers": b"".join(
            struct.pack("<Q", array.size) + array.tobytes() for array in arrays.values()
        ),
    } | changes
    return b"".join(parts[name] for name in [*parts] if name != "tensor")


def read(tmp_path, content):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    return read_archive(path)


def drawn():
    rng = np.random.default_rng(0)
    return {
        "conv.weight": rng.standard_normal((4, 3, 2, 2)).astype("float32"),
        "bn.running_var": rng.random(4),
        "bn.num_batches_tracked": np.array(7, "int64"),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_tensors_of_every_kind_are_read_as_they_lie(tmp_path, kind):
    array = np.arange(6).reshape(2, 3).astype(kind)
    found = read(tmp_path, archive({"a": array, "b": array[0]}))
    assert {name: value.dtype for name, value in found.items()} == dict.fromkeys(
        "ab", np.dtype(kind)
    )
    np.testing.assert_array_equal(found["a"], array)
    np.testing.assert_array_equal(found["b"], array[0])


def test_a_state_dict_becomes_safetensors(tmp_path, capsys):
    arrays = drawn()
    (tmp_path / "old.pth").write_bytes(archive(arrays))
    words = ["from-torch", f"{tmp_path}/old.pth", f"{tmp_path}/new.safetensors"]
    assert main(words) == 0
    assert "3 tensors, 53 numbers" in capsys.readouterr().out
    found = load_file(tmp_path / "new.safetensors")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_a_tensor_may_be_a_turned_part_of_its_storage(tmp_path):
    array = np.arange(12, dtype="float32")
    part = {"offset": whole(1), "shape": several(whole(2), whole(3))}
    part["strides"] = several(whole(1), whole(4))
    found = read(tmp_path, archive({"a": array}, tensor=part))
    np.testing.assert_array_equal(found["a"], [[1, 5, 9], [2, 6, 10]])


def test_tensors_may_share_a_storage(tmp_path):
    array = np.arange(4, dtype="float32")
    one, other = (text(n) + tensor(array, "94000") for n in ("one", "other"))
    state = pickled(ORDERED + MARK + one + other + SETITEMS)
    found = read(tmp_path, archive({"a": array}, state=state))
    np.testing.assert_array_equal(found["one"], found["other"])


SYSTEM = b"cposix\nsystem\n" + several(text("touch hacked")) + REDUCE
HALVES = {"float32": np.arange(4, dtype="float32")}
LAUGHS = BEGIN + EMPTY + b"".join(b"q\x00h\x00\x86" for _ in range(200)) + END


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": pickled(SYSTEM)}, "it calls 'posix system'; allowed are coll"),
        ({"magic": pickled(SYSTEM)}, "it calls 'posix system'"),
        ({"keys": pickled(SYSTEM)}, "it calls 'posix system'"),
        (
            {"state": pickled(b"cbuiltins\neval\n" + EMPTY + REDUCE)},
            "'builtins eval'",
        ),
        (
            {"state": pickled(called("torch._utils", "_rebuild_parameter"))},
            "it calls 'torch._utils _rebuild_parameter'",
        ),
        ({"state": pickled(text("posix") + b"\x93")}, "operation STACK_GLOBAL"),
        ({"state": pickled(b"(iposix\nsystem\n")}, "operation INST posix system"),
        ({"state": pickled(b"\x82\x01")}, "operation EXT1 1"),
        ({"state": b"\x80\x04" + DICT + END}, "operation PROTO 4"),
        ({"state": pickled(DICT + b"2")}, "operation DUP"),
        ({"state": pickled(b"G" + bytes(8))}, "operation BINFLOAT 0.0"),
        ({"state": pickled(b"\xff")}, "the state dict is damaged or cut off"),
        ({"state": pickled(b"h\x05")}, r"damaged or cut off \(KeyError\)"),
        ({"state": pickled(REDUCE)}, r"damaged or cut off \(IndexError\)"),
        ({"state": pickled(MARK + b"\x85")}, r"damaged or cut off \(IndexError\)"),
        ({"state": pickled(b"")}, r"damaged or cut off \(ValueError\)"),
        ({"state": pickled(DICT + DICT)}, r"damaged or cut off \(ValueError\)"),
        ({"state": BEGIN + b"X\xff\xff\xff\xff", "keys": b"", "numbers": b""},
         "damaged or cut off"),
        ({"state": BEGIN + b"c" + b"m" * 5000 + END}, "damaged or cut off"),
        ({"state": pickled(DICT)}, "it holds no state dict"),
        ({"state": pickled(LIST)}, "it holds no state dict"),
        ({"state": pickled(DICT + text("a") + DICT + b"s")}, "'a' is no tensor but of"),
        ({"state": pickled(DICT + whole(1) + NONE + b"s")}, "keys are no texts"),
        ({"state": pickled(DICT + 2 * (text("a") + NONE + b"s"))}, "it has 'a' twice"),
        ({"state": pickled(ORDERED + ORDERED + BUILD)}, "it sets attributes"),
        ({"state": pickled(whole(3) + EMPTY + REDUCE)}, "what has no name in a way"),
        ({"state": LAUGHS}, "it holds no state dict"),
        ({"keys": LAUGHS}, "its list of storages is not"),
        ({"keys": pickled(LIST)}, "its list of storages is not that of its tensors"),
        ({"version": pickled(whole(1000))}, "its version is not 1001"),
        ({"magic": pickled(whole(7))}, "does not begin as an old-style"),
        ({"machine": pickled(DICT + text("little_endian") + FALSE + b"s")}, "of bytes"),
        ({"numbers": b""}, "cut off within storage '94000'"),
        ({"numbers": struct.pack("<Q", 4) + bytes(15)}, "cut off within storage"),
        ({"numbers": struct.pack("<Q", 5) + bytes(16)}, "another length than was said"),
        ({"numbers": struct.pack("<Q", 4) + bytes(17)}, "something follows its last"),
        ({"tensor": {"numbers": whole(2**62)}}, "cut off within storage"),
        ({"tensor": {"kind": b"ctorch\nComplexFloatStorage\n"}},
         "it calls 'torch ComplexFloatStorage'"),
        ({"tensor": {"kind": text("FloatStorage")}}, "a storage that is none of torch"),
        ({"tensor": {"kind": b"ccollections\nOrderedDict\n"}}, "that is none of torch"),
        ({"tensor": {"word": text("module")}}, "a storage of another kind"),
        ({"tensor": {"view": several(text("a"), whole(0), whole(1))}}, "another kind"),
        ({"tensor": {"numbers": whole(-4)}}, r"cut off \(TypeError\)"),
        ({"tensor": {"offset": whole(1)}}, "'float32' reaches beyond its storage"),
        ({"tensor": {"offset": whole(-1)}}, "a negative place or size"),
        ({"tensor": {"strides": several(whole(2**60))}}, "reaches beyond its storage"),
        ({"tensor": {"strides": several(whole(0), whole(0))}}, "more than its numbers"),
        ({"tensor": {"shape": several(whole(2**40)), "strides": several(whole(0))}},
         "not as many numbers as its storage"),
        ({"tensor": {"shape": several(whole(0))}}, "not as many numbers"),
        ({"tensor": {"hooks": DICT + text("a") + NONE + b"s"}}, "more than its numb"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_in_one_line(tmp_path, monkeypatch, changes, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=words) as error:
        read(tmp_path, archive(HALVES, **changes))
    told = str(error.value)
    assert told.startswith(f"{tmp_path}/weights.pth: ") and "\n" not in told
    assert len(told) < 600 and [p.name for p in tmp_path.iterdir()] == ["weights.pth"]


def test_a_storage_said_to_be_two_things_is_refused(tmp_path):
    array = np.arange(4, dtype="float32")
    one = text("one") + tensor(array, "94000")
    other = text("other") + tensor(array, "94000", numbers=whole(2))
    state = pickled(ORDERED + MARK + one + other + SETITEMS)
    with pytest.raises(ModelError, match="storage '94000' two different things"):
        read(tmp_path, archive({"a": array}, state=state))


def test_every_cut_of_an_archive_is_refused(tmp_path):
    content = archive({"a": np.arange(3, dtype="float32")})
    for length in range(len(content)):
        with pytest.raises(ModelError):
            read(tmp_path, content[:length])


def test_a_changed_byte_gives_tensors_or_one_line(tmp_path):
    content = archive({"a": np.arange(3, dtype="float32")})
    for place, change in np.ndindex(len(content), 2):
        changed = bytearray(content)
        changed[place] = (changed[place] + (1, 128)[change]) % 256
        try:
            assert all(
                isinstance(a, np.ndarray) for a in read(tmp_path, changed).values()
            )
        except ModelError as error:
            assert "\n" not in str(error)


def test_a_program_that_does_not_end_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(torch_archive, "MOST_OPERATIONS", 1000)
    endless = BEGIN + (NONE + b"q\x00") * 1000 + END
    with pytest.raises(ModelError, match="more than 1,000 operations"):
        read(tmp_path, archive(HALVES, state=endless))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "its magic number is damaged or cut off"),
        (b"PK\x03\x04 and so on", "a zip archive, as PyTorch 1.6 and later write"),
        (b"\x7fELF\x02\x01", "its magic number is damaged"),
    ],
)
def test_other_files_are_told_apart(tmp_path, capsys, content, words):
    (tmp_path / "old.pth").write_bytes(content)
    words_of = ["from-torch", f"{tmp_path}/old.pth", f"{tmp_path}/new.safetensors"]
    assert main(words_of) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1
    assert not (tmp_path / "new.safetensors").exists()


def test_what_is_no_file_and_another_ending_are_refused(tmp_path, capsys):
    assert main(["from-torch", f"{tmp_path}/absent", f"{tmp_path}/a.safetensors"]) == 2
    assert "there is no such file" in capsys.readouterr().err
    assert main(["from-torch", f"{tmp_path}/absent", f"{tmp_path}/a.pt"]) == 2
    assert "must end with .safetensors" in capsys.readouterr().err
