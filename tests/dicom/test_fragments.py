import struct

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, encapsulate_extended

from tests.dicom import made
from tests.dicom.made import header, make, save
from ultrasound_jax.dicom.read.decode import open_cine
from ultrasound_jax.types import InputError

CINE = np.stack([np.full((8, 8), 40 * t + 9, np.uint8) for t in range(5)])
CODES = [imagecodecs.jpegls_encode(frame) for frame in CINE]
CODES = [code + b"\0" * (len(code) % 2) for code in CODES]
END = b"\xfe\xff\xdd\xe0\0\0\0\0"


def item(content):
    return b"\xfe\xff\x00\xe0" + struct.pack("<I", len(content)) + content


def written(path, pixels, frames=5, syntax=made.JPEGLS, **elements):
    """A file whose encapsulated pixel data is exactly `pixels`."""
    dataset = header(8, 8, NumberOfFrames=frames, **elements)
    save(path, dataset, [b"\1\2"], syntax)
    content = path.read_bytes()
    start = content.index(b"\xe0\x7f\x10\x00OB") + 12
    path.write_bytes(content[:start] + pixels)
    return path


def levels(path):
    with open_cine(path) as cine:
        return [int(frame[0, 0]) for frame in cine.frames()], cine.notes


EXPECTED = [9, 49, 89, 129, 169]


def halves(codes=CODES):
    return [part for code in codes for part in (code[:20], code[20:])]


@pytest.mark.parametrize("table", [True, False])
def test_a_fragment_a_frame_needs_no_table(tmp_path, table):
    pixels = encapsulate(CODES, has_bot=table)
    assert levels(written(tmp_path / "a", pixels + END)) == (EXPECTED, ())


@pytest.mark.parametrize("table", [True, False])
def test_frames_in_several_fragments_are_put_together(tmp_path, table):
    pixels = encapsulate(CODES, fragments_per_frame=3, has_bot=table)
    assert levels(written(tmp_path / "a", pixels + END)) == (EXPECTED, ())


def test_an_extended_table_is_used(tmp_path):
    pixels, offsets, lengths = encapsulate_extended(CODES)
    # No JPEG stands where frames of RLE begin: only the table can tell.
    path = written(
        tmp_path / "a",
        pixels + END,
        ExtendedOffsetTable=offsets,
        ExtendedOffsetTableLengths=lengths,
    )
    assert levels(path) == (EXPECTED, ())


@pytest.mark.parametrize("offsets", [[0, 1, 2, 3, 4], [9] * 5, [0]], ids=str)
def test_a_false_table_is_not_believed(tmp_path, offsets):
    table = item(struct.pack(f"<{len(offsets)}I", *offsets))
    pixels = table + b"".join(map(item, halves())) + END
    assert levels(written(tmp_path / "a", pixels)) == (EXPECTED, ())


def test_empty_fragments_are_nothing(tmp_path):
    pixels = item(b"") + b"".join(item(code) + item(b"") for code in CODES) + END
    assert levels(written(tmp_path / "a", pixels)) == (EXPECTED, ())


def test_one_frame_takes_all_fragments(tmp_path):
    code = CODES[2]
    pixels = item(b"") + item(code[:20]) + item(code[20:30]) + item(code[30:]) + END
    assert levels(written(tmp_path / "a", pixels, frames=1)) == ([89], ())


def test_a_missing_end_mark_is_noted(tmp_path):
    pixels = item(b"") + b"".join(map(item, CODES))
    found, notes = levels(written(tmp_path / "a", pixels))
    assert found == EXPECTED and notes == ("the pixel data has no end mark",)


def test_more_whole_frames_than_stated_are_believed_with_a_note(tmp_path):
    pixels = encapsulate(CODES) + END
    found, notes = levels(written(tmp_path / "a", pixels, frames=3))
    assert found == EXPECTED
    note = "the header states 3 frames, the file holds 5: the file is believed"
    assert notes == (note,)


@pytest.mark.parametrize("other", ["cut", "smaller"])
def test_what_follows_the_frames_and_is_none_is_left_out(tmp_path, other):
    more = (
        imagecodecs.jpegls_encode(CINE[0][:4]) if other == "smaller" else CODES[0][:-9]
    )
    pixels = encapsulate([*CODES, more]) + END
    found, notes = levels(written(tmp_path / "a", pixels, frames=5))
    assert found == EXPECTED
    assert notes == ("states 5 frames and holds 6: the others are left out",)


def test_frames_without_a_number_of_frames_are_believed_with_a_note(tmp_path):
    path = written(tmp_path / "a", encapsulate(CODES) + END)
    dataset = pydicom.dcmread(path)
    del dataset.NumberOfFrames
    dataset.save_as(path)
    found, notes = levels(path)
    assert found == EXPECTED
    note = "the header states no number of frames, the file holds 5: the file is"
    assert notes == (f"{note} believed",)


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (encapsulate(CODES[:3]) + END, "states 5 frames and holds 3"),
        (encapsulate(CODES)[:-3], "the file ends within item 5"),
        (item(b"") + END, "its pixel data is empty"),
        (END, "no items"),
        (b"what is this, then?", "no items"),
        (
            item(b"") + b"\xfe\xff\x00\xe0\xff\xff\xff\x7f",
            "the file ends within item 1",
        ),
    ],
    ids=["few", "cut", "empty", "none", "junk", "long"],
)
def test_unusable_pixel_data_is_refused(tmp_path, pixels, reason):
    with pytest.raises(InputError, match=reason):
        open_cine(written(tmp_path / "a", pixels))


def test_uncompressed_frames_may_be_encapsulated(tmp_path):
    pixels = encapsulate([frame.tobytes() for frame in CINE]) + END
    path = written(tmp_path / "a", pixels, syntax="1.2.840.10008.1.2.1.98")
    assert levels(path) == (EXPECTED, ())


@pytest.mark.parametrize("length", [50, 66])
def test_an_encapsulated_frame_of_another_length_is_refused(tmp_path, length):
    pixels = encapsulate([(frame.tobytes() * 2)[:length] for frame in CINE]) + END
    path = written(tmp_path / "a", pixels, syntax="1.2.840.10008.1.2.1.98")
    with pytest.raises(InputError, match=f"{length} bytes, 64 are needed"):
        open_cine(path)


@pytest.mark.parametrize("syntax", [made.J2K, made.JPEG])
def test_what_stands_there_counts_and_not_the_syntax(tmp_path, syntax):
    path = written(tmp_path / "a", encapsulate(CODES) + END, syntax=syntax)
    with open_cine(path) as cine:
        assert cine.decoder == "gdcm"
        assert len(list(cine.frames())) == 5


def test_native_frames_fewer_than_stated_are_refused(tmp_path):
    path = make(tmp_path / "a", CINE.tobytes(), CINE[0], NumberOfFrames=6)
    with pytest.raises(InputError, match="states 6 frames and holds 5"):
        open_cine(path)


def test_a_file_that_ends_within_native_frames_is_refused(tmp_path):
    path = make(tmp_path / "a", CINE.tobytes(), CINE[0], NumberOfFrames=5)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        InputError, match="holds 4.*320 are needed, and the file ends within"
    ):
        open_cine(path)


def test_native_frames_more_than_stated_are_believed_with_a_note(tmp_path):
    path = make(tmp_path / "a", CINE.tobytes(), CINE[0], NumberOfFrames=3)
    note = "the header states 3 frames, the file holds 5: the file is believed"
    assert levels(path) == (EXPECTED, (note,))


def test_bytes_behind_the_last_native_frame_are_noted(tmp_path):
    path = make(tmp_path / "a", CINE.tobytes()[:-30], CINE[0], NumberOfFrames=3)
    found, notes = levels(path)
    assert found == EXPECTED[:3]
    assert notes == ("98 bytes follow the last frame: they are left out",)
