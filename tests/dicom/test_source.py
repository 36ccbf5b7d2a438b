import struct
import tracemalloc
import zlib

import numpy as np
import pytest

from tests.dicom import made
from tests.dicom.made import make, scan
from ultrasound_jax.dicom.read import stream
from ultrasound_jax.dicom.read.decode import open_cine
from ultrasound_jax.dicom.read.header import read_header
from ultrasound_jax.runs.limits import Limits
from ultrasound_jax.types import InputError

GREY = scan()[..., 1].copy()
META = b"\x02\x00\x10\x00UI"


def read(path):
    with open_cine(path) as cine:
        return next(cine.frames())


def data_set(path):
    """The bytes behind the meta group."""
    content = path.read_bytes()
    length = struct.unpack_from("<I", content, 140)[0]
    return content[144 + length :]


@pytest.mark.parametrize("syntax", [made.IMPLICIT, made.EXPLICIT, made.BIG_ENDIAN])
def test_a_file_without_preamble_and_meta_group_is_read(tmp_path, syntax):
    path = make(tmp_path / "a", GREY.tobytes(), GREY, syntax)
    path.write_bytes(data_set(path))
    assert read_header(path).transfer_syntax == syntax
    assert np.array_equal(read(path), GREY)


def test_a_file_without_preamble_but_with_a_meta_group_is_read(tmp_path):
    path = make(tmp_path / "a", GREY.tobytes(), GREY, made.DEFLATED)
    path.write_bytes(path.read_bytes()[132:])
    assert np.array_equal(read(path), GREY)


def test_a_missing_transfer_syntax_is_found_out(tmp_path):
    path = make(tmp_path / "a", GREY.tobytes(), GREY, made.IMPLICIT)
    content = path.read_bytes()
    path.write_bytes(content.replace(META, b"\x02\x00\x11\x00UI", 1))
    assert read_header(path).transfer_syntax == made.IMPLICIT


@pytest.mark.parametrize(
    ("true", "stated"),
    [
        (made.IMPLICIT, made.EXPLICIT),
        (made.EXPLICIT, made.IMPLICIT),
        (made.EXPLICIT, made.JPEG),
    ],
)
def test_a_false_transfer_syntax_does_no_harm(tmp_path, true, stated):
    path = make(tmp_path / "a", GREY.tobytes(), GREY, true)
    body = data_set(path)
    other = make(tmp_path / "b", GREY.tobytes(), GREY, made.EXPLICIT)
    content = other.read_bytes()
    position = content.index(META)
    length = struct.unpack_from("<H", content, position + 6)[0]
    value = stated.encode() + b"\0" * (len(stated) % 2)
    meta = content[: position + 6] + struct.pack("<H", len(value)) + value
    rest = content[position + 8 + length : len(content) - len(data_set(other))]
    path.write_bytes(meta + rest + body)
    assert np.array_equal(read(path), GREY)


def test_a_false_group_length_does_no_harm(tmp_path):
    path = make(tmp_path / "a", GREY.tobytes(), GREY)
    content = bytearray(path.read_bytes())
    content[140:144] = struct.pack("<I", 9999)
    path.write_bytes(content)
    assert np.array_equal(read(path), GREY)


@pytest.mark.parametrize("name", ["a.txt", "a.png", "empty"])
def test_other_files_are_not_dicom(tmp_path, name):
    content = {"a.txt": b"hello " * 100, "a.png": b"\x89PNG\r\n\x1a\n" * 50}
    (tmp_path / name).write_bytes(content.get(name, b""))
    with pytest.raises(InputError, match=f"{name}: "):
        read_header(tmp_path / name)


def test_a_file_without_pixels_is_refused(tmp_path):
    path = make(tmp_path / "a", GREY.tobytes(), GREY)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"\xe0\x7f\x10\x00")])
    with pytest.raises(InputError, match="holds no pixel data"):
        read_header(path)


@pytest.mark.parametrize("target", ["folder", "missing"])
def test_what_is_no_file_is_refused(tmp_path, target):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="no such file"):
        read_header(tmp_path / target)


def test_a_made_up_length_takes_no_memory(tmp_path):
    path = make(tmp_path / "a", GREY.tobytes(), GREY, made.IMPLICIT)
    content = path.read_bytes()
    position = content.index(struct.pack("<HH", 0x10, 0x20)) + 4  # PatientID
    path.write_bytes(
        content[:position] + struct.pack("<I", 0xFFFFFFF0) + content[position + 4 :]
    )
    tracemalloc.start()
    with pytest.raises(InputError, match="no pixel data"):
        read_header(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 21


def test_endless_nesting_is_refused(tmp_path):
    path = make(tmp_path / "a", GREY.tobytes(), GREY)
    content = path.read_bytes()
    position = content.index(b"\x28\x00\x02\x00US")
    sequence = b"\x0b\x00\x10\x10SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    path.write_bytes(content[:position] + sequence * 5000 + content[position:])
    with pytest.raises(InputError, match="nested too deep"):
        read_header(path)


def test_a_broken_value_counts_as_absent(tmp_path):
    path = make(tmp_path / "a", GREY.tobytes(), GREY, InstanceNumber=123)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"IS\x04\x00123 ", b"IS\x04\x001x3 "))
    assert read_header(path).instance_number is None


def deflated(path, picture, size):
    """A deflated file whose frames are followed by `size` zeros."""
    make(path, picture.tobytes(), picture, made.DEFLATED)
    content = path.read_bytes()
    start = 144 + struct.unpack_from("<I", content, 140)[0]
    plain = zlib.decompressobj(-15).decompress(content[start:])
    position = plain.index(b"\x28\x00\x02\x00US")
    private = b"\x0b\x00\x10\x10OB\0\0" + struct.pack("<I", size)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    parts = [packer.compress(plain[:position] + private)]
    parts += [packer.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    parts += [packer.compress(plain[position:]), packer.flush()]
    path.write_bytes(content[:start] + b"".join(parts))
    return path


def test_a_deflate_bomb_is_stopped_within_its_limit(tmp_path):
    path = deflated(tmp_path / "a", GREY, 256 << 20)
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    with pytest.raises(InputError, match="inflates to more than 33554432 bytes"):
        open_cine(path, limits=Limits(inflated_bytes=32 << 20))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


def test_a_small_file_may_inflate_less_than_a_large_one(tmp_path, monkeypatch):
    path = deflated(tmp_path / "a", GREY, 16 << 20)
    assert np.array_equal(read(path), GREY)
    monkeypatch.setattr(stream, "_FREE", 1 << 20)
    most = (1 << 20) + 100 * path.stat().st_size
    with pytest.raises(InputError, match="inflates to more than") as refused:
        open_cine(path)
    assert int(str(refused.value).split("more than ")[1].split()[0]) < most


def test_a_large_deflated_file_is_read_within_its_limit(tmp_path):
    assert np.array_equal(read(deflated(tmp_path / "a", GREY, 8 << 20)), GREY)


def test_a_deflated_file_with_a_zlib_header_is_read(tmp_path):
    path = make(tmp_path / "a", GREY.tobytes(), GREY, made.DEFLATED)
    content = path.read_bytes()
    start = 144 + struct.unpack_from("<I", content, 140)[0]
    plain = zlib.decompressobj(-15).decompress(content[start:])
    path.write_bytes(content[:start] + zlib.compress(plain))
    assert np.array_equal(read(path), GREY)


def test_a_damaged_deflated_file_is_refused(tmp_path):
    path = make(tmp_path / "a", GREY.tobytes(), GREY, made.DEFLATED)
    content = bytearray(path.read_bytes())
    content[-len(GREY) * 20 :] = b"\xa5" * len(GREY) * 20
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged|ends"):
        read(path)


def test_no_error_quotes_what_is_in_the_file(tmp_path):
    path = make(
        tmp_path / "a", GREY.tobytes(), GREY, photometric="JANE", PatientName="Jane"
    )
    with pytest.raises(InputError) as error:
        read_header(path)
    assert "JANE" not in str(error.value).upper().removeprefix(str(path).upper())
