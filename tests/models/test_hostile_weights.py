"""Weight files that no network should be filled from, refused in one line."""

import json
import os
import struct

import ml_dtypes
import numpy as np
import pytest

from tests.models.test_torch_weights import abstract, state_for
from ultrasound_jax.models import ModelError, torch_weights


def safetensors(header, body=b"\0" * 8) -> bytes:
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    return struct.pack("<Q", len(text)) + text + body


def one(dtype, size, shape=(8,)):
    entry = {"dtype": dtype, "shape": list(shape), "data_offsets": [0, size]}
    return safetensors({"a": entry}, b"\0" * size)


ENTRY = '"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
FILES = {
    "empty": b"",
    "cut within the length": b"\x10\0\0",
    "a length beyond the file": struct.pack("<Q", 2**62) + b"{}",
    "cut within the header": safetensors({"a": 1})[:-12],
    "cut within the values": one("F32", 32)[:-1],
    "more than the values": one("F32", 32) + b"\0",
    "deeply nested": safetensors("[" * 100_000),
    "deeply nested entry": safetensors('{"a":' + "[" * 100_000),
    "no JSON": safetensors("weights"),
    "not UTF-8": struct.pack("<Q", 4) + b"\xff\xfe\xfd\xfc",
    "a list": safetensors("[]"),
    "a text for a shape": safetensors(ENTRY.join("{}").replace("[2]", '"2"')),
    "a text for an offset": safetensors(ENTRY.join("{}").replace("0,8", '"0","8"')),
    "a name twice": safetensors(f"{{{ENTRY},{ENTRY}}}"),
    "negative shape": one("F32", 32, (-8,)),
    "unknown dtype": one("X9", 8),
    "four bits": one("F4", 4),
    "six bits": one("F6_E2M3", 6),
    "exponents alone": one("F8_E8M0", 8),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_whole_safetensors_is_one_line_with_its_name(name, tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(FILES[name])
    with pytest.raises(ModelError, match=r"weights\.safetensors: ") as error:
        torch_weights.read_safetensors(path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


def test_a_name_that_stands_twice_is_named(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(FILES["a name twice"])
    with pytest.raises(ModelError, match="'a' stands in it twice"):
        torch_weights.read_safetensors(path)


def pipe(path):
    os.mkfifo(path)


def folder(path):
    path.mkdir()


def device(path):
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [pipe, folder, device])
def test_what_is_no_file_is_refused_before_it_is_waited_for(make, tmp_path):
    path = tmp_path / "weights.safetensors"
    make(path)
    with pytest.raises(ModelError, match=r"weights\.safetensors: .*regular file"):
        torch_weights.read_safetensors(path)


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("F16", np.float16([1, 2])),
        ("F64", np.float64([1, 2])),
        ("BF16", np.asarray([1, 2], ml_dtypes.bfloat16)),
    ],
)
def test_floats_of_other_widths_are_read(dtype, values, tmp_path):
    path = tmp_path / "weights.safetensors"
    size = values.nbytes
    entry = {"dtype": dtype, "shape": [2], "data_offsets": [0, size]}
    path.write_bytes(safetensors({"a": entry}, values.tobytes()))
    read = torch_weights.read_safetensors(path)["a"]
    assert read.astype(np.float32).tolist() == [1, 2]


def first_with(state, end):
    return next(name for name in state if name.endswith(end))


def put(end, value):
    def spoil(state):
        name = first_with(state, end)
        array = np.array(state[name])
        array.flat[-1] = value
        state[name] = array

    return spoil


def put_as(end, dtype, value=1.0):
    def spoil(state):
        name = first_with(state, end)
        state[name] = np.full(np.shape(state[name]), value, dtype)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (put("running_var", -1e-3), "running_var has a negative variance, -0.001"),
        (put("running_var", np.inf), "running_var is not finite"),
        (put("running_var", 1e30), r"running_var is as large as 1e\+30"),
        (put("running_mean", -1e30), r"running_mean is as large as 1e\+30"),
        (put("conv1.weight", np.nan), "conv1.weight is not finite"),
        (put("conv1.weight", 3e9), r"conv1.weight is as large as 3e\+09"),
        (put_as("conv1.weight", np.float64, 1e300), "conv1.weight is as large as"),
        (put_as("conv1.weight", np.complex64), "is complex64, not floating"),
        (put_as("conv1.weight", np.bool_), "is bool, not floating"),
        (put_as("conv1.weight", np.uint8), "is uint8, not floating"),
        (put_as("conv1.weight", ml_dtypes.float8_e4m3fn), "is float8_e4m3fn, not"),
    ],
)
def test_values_that_no_training_leaves_are_refused(spoil, words):
    model = abstract()
    state = state_for(model)
    spoil(state)
    with pytest.raises(ModelError, match=words) as error:
        torch_weights.load(model, state, source="weights.safetensors")
    assert str(error.value).startswith("weights.safetensors does not fit")
    assert "\n" not in str(error.value)


def test_two_names_of_one_tensor_are_refused():
    model = abstract(encoder="tiny_dense")
    state = state_for(model, part="encoder")
    name = first_with(state, "denselayer1.norm1.weight")
    state[name.replace("norm1", "norm.1")] = 2 * state[name]
    with pytest.raises(ModelError, match="doubled 1 .*denselayer1.norm1.weight"):
        torch_weights.load(model, state, part="encoder")
