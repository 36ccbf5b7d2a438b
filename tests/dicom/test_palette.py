import numpy as np
import pytest

from tests.dicom import made
from tests.dicom.made import make
from ultrasound_jax.dicom.read.decode import open_cine
from ultrasound_jax.dicom.read.palette import expand_segments
from ultrasound_jax.types import InputError

RAMP = np.arange(256, dtype=np.uint16)
TABLE = np.stack([RAMP, 255 - RAMP, RAMP // 2], 1)  # 8-bit colours of 256 indices
INDICES = np.arange(256, dtype=np.uint8).reshape(16, 16)


def tables(descriptor, entries, segmented=""):
    found = {}
    for name, values in zip(("Red", "Green", "Blue"), entries, strict=True):
        found[f"{name}PaletteColorLookupTableDescriptor"] = descriptor
        found[f"{segmented}{name}PaletteColorLookupTableData"] = values
    return found


def shown(tmp_path, indices, elements, **others):
    path = make(
        tmp_path / "a",
        indices.tobytes(),
        indices,
        photometric="PALETTE COLOR",
        **elements,
        **others,
    )
    with open_cine(path) as cine:
        assert cine.colour == "palette"
        return next(cine.frames())


def test_entries_of_16_bits_give_their_upper_byte(tmp_path):
    entries = [(column << 8 | 0xF0).astype("<u2").tobytes() for column in TABLE.T]
    picture = shown(tmp_path, INDICES, tables([256, 0, 16], entries))
    assert np.array_equal(picture.reshape(-1, 3), TABLE)


def test_entries_that_only_claim_16_bits_are_taken_as_8(tmp_path):
    entries = [column.astype("<u2").tobytes() for column in TABLE.T]
    picture = shown(tmp_path, INDICES, tables([256, 0, 16], entries))
    assert np.array_equal(picture.reshape(-1, 3), TABLE)


@pytest.mark.parametrize("dtype", [np.uint8, "<u2"])
def test_entries_of_8_bits_stand_in_bytes_or_words(tmp_path, dtype):
    entries = [column.astype(dtype).tobytes() for column in TABLE.T]
    picture = shown(tmp_path, INDICES, tables([256, 0, 8], entries))
    assert np.array_equal(picture.reshape(-1, 3), TABLE)


@pytest.mark.parametrize("descriptor", [[256, 0, 16], [256, 0, 8]])
def test_big_endian_tables_give_the_same_colours(tmp_path, descriptor):
    if descriptor[2] == 16:
        entries = [(column << 8).astype(">u2").tobytes() for column in TABLE.T]
    else:  # bytes two by two in big endian words
        entries = [
            column.astype(np.uint8).view(np.uint16).byteswap().tobytes()
            for column in TABLE.T
        ]
    path = make(
        tmp_path / "a",
        INDICES.tobytes(),
        INDICES,
        made.BIG_ENDIAN,
        photometric="PALETTE COLOR",
        **tables(descriptor, entries),
    )
    with open_cine(path) as cine:
        assert np.array_equal(next(cine.frames()).reshape(-1, 3), TABLE)


def test_indices_outside_the_table_take_its_ends(tmp_path):
    entries = [column[:100].astype("<u2").tobytes() for column in TABLE.T << 8]
    picture = shown(tmp_path, INDICES, tables([100, 50, 16], entries)).reshape(-1, 3)
    assert np.array_equal(picture[:50], np.repeat(TABLE[:1], 50, 0))
    assert np.array_equal(picture[50:150], TABLE[:100])
    assert np.array_equal(picture[150:], np.repeat(TABLE[99:100], 106, 0))


def test_indices_of_16_bits_reach_all_65536_entries(tmp_path):
    indices = np.array([[0, 255], [256, 65535]], np.uint16)
    ramp = np.arange(65536, dtype="<u2")
    entries = [ramp.tobytes(), (65535 - ramp).tobytes(), (ramp // 2).tobytes()]
    segmented = [_one_segment(values) for values in entries]
    picture = shown(tmp_path, indices, tables([0, 0, 16], segmented, "Segmented"))
    assert picture.tolist() == [
        [[0, 255, 0], [0, 255, 0]],
        [[1, 254, 0], [255, 0, 127]],
    ]


def _one_segment(values):
    words = np.frombuffer(values, "<u2")
    halves = [words[:40000], words[40000:]]
    return b"".join(
        np.array([0, len(half)], "<u2").tobytes() + half.tobytes() for half in halves
    )


def test_segments_are_discrete_linear_and_indirect():
    # 2 discrete values, a line of 4 up to 100, then both again by an offset of 0 bytes.
    packed = [0, 2, 7, 20, 1, 4, 100, 2, 2, 0, 0]
    values = expand_segments(packed, 12, 16)
    assert values.tolist() == [7, 20, 40, 60, 80, 100, 7, 20, 40, 60, 80, 100]


def test_segments_of_bytes_have_offsets_of_four():
    packed = [0, 2, 7, 20, 2, 1, 0, 0, 0, 0]
    assert expand_segments(packed, 4, 8).tolist() == [7, 20, 7, 20]


@pytest.mark.parametrize(
    "packed", [[9, 1, 1], [0, 100, 1], [1, 4, 100], [2, 1, 0, 0], [0, 1, 5, 2, 9, 3, 0]]
)
def test_damaged_segments_are_refused(packed):
    with pytest.raises(InputError, match="damaged"):
        expand_segments(packed, 50, 16)


@pytest.mark.parametrize(
    ("descriptor", "words", "reason"),
    [
        ([256, 0, 16], 100, "has 100 of 256 entries"),
        ([256, 0, 99], 256, "descriptor"),
        (None, 256, "descriptor"),
    ],
)
def test_unusable_tables_are_refused(tmp_path, descriptor, words, reason):
    elements = tables(descriptor, [b"\1\2" * words] * 3)
    with pytest.raises(InputError, match=reason):
        shown(tmp_path, INDICES, elements)


def test_a_palette_picture_without_tables_is_refused(tmp_path):
    elements = tables([256, 0, 16], [None] * 3)
    with pytest.raises(InputError, match="no colour table"):
        shown(tmp_path, INDICES, elements)
