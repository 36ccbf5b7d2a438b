import numpy as np
import pytest

from tests.dicom.made import header
from ultrasound_jax.dicom.read.tone import (
    apply_table,
    tone_table,
)


def table(bits, signed=False, inverted=False, colour=False, **elements):
    dataset = header(2, 2, bits=16, BitsStored=bits, **elements)
    return tone_table(
        dataset, bits=bits, signed=signed, inverted=inverted, colour=colour
    )


def test_eight_bits_keep_their_values_whatever_the_window():
    shown = table(8, WindowCenter=40, WindowWidth=10, RescaleSlope=3)
    assert np.array_equal(shown, np.arange(256))


def test_fewer_bits_are_spread():
    assert table(2).tolist() == [0, 85, 170, 255]


def test_monochrome1_has_white_at_zero():
    assert table(2, inverted=True).tolist() == [255, 170, 85, 0]


def test_signed_samples_begin_at_their_lowest():
    assert table(2, signed=True).tolist() == [170, 255, 0, 85]  # 0, 1, -2, -1


def test_a_window_is_the_one_of_the_standard():
    # PS3.3, C.11.2.1.2: c = 2048, w = 4096 maps 0 to 0 and 4095 to 255.
    shown = table(12, WindowCenter=2048, WindowWidth=4096)
    assert [shown[0], shown[4095]] == [0, 255]
    # c = 100, w = 51: black up to 74, white from 124, and the formula in between.
    shown = table(12, WindowCenter=[100, 7], WindowWidth=[51, 7])
    assert [shown[74], shown[125]] == [0, 255]
    assert shown[110] == round(((110 - 99.5) / 50 + 0.5) * 255)


def test_a_window_is_in_rescaled_units():
    shown = table(
        12, WindowCenter=0, WindowWidth=201, RescaleSlope=2, RescaleIntercept=-200
    )
    assert [shown[49], shown[150]] == [0, 255] and abs(int(shown[100]) - 128) <= 2


def test_a_sigmoid_window_is_half_at_its_centre():
    shown = table(12, WindowCenter=600, WindowWidth=400, VOILUTFunction="SIGMOID")
    assert shown[600] == 128
    assert shown[700] == round(255 / (1 + np.exp(-1)))


def test_an_exact_window_has_its_own_formula():
    shown = table(12, WindowCenter=600, WindowWidth=400, VOILUTFunction="LINEAR_EXACT")
    assert [shown[400], shown[800]] == [0, 255]
    assert shown[650] == round((50 / 400 + 0.5) * 255)


def test_without_a_window_the_stated_extremes_are_spread():
    shown = table(12, SmallestImagePixelValue=100, LargestImagePixelValue=610)
    assert [shown[100], shown[355], shown[610], shown[4095]] == [0, 128, 255, 255]


@pytest.mark.parametrize("width", [0, -5])
def test_a_window_without_width_is_passed_over(width):
    assert table(12, WindowCenter=5, WindowWidth=width)[4095] == 255


def test_a_negative_slope_without_a_window_inverts():
    shown = table(12, RescaleSlope=-1, RescaleIntercept=4095)
    assert [shown[0], shown[4095]] == [255, 0]


def test_colour_samples_are_neither_windowed_nor_inverted():
    shown = table(16, colour=True, WindowCenter=5, WindowWidth=2)
    assert [shown[0], shown[0x8000], shown[0xFFFF]] == [0, 128, 255]


def test_32_bits_are_looked_up_by_their_upper_half():
    shown = table(32)
    samples = np.array([[0, 2**31], [2**32 - 1, 2**16]], np.uint32)
    assert apply_table(samples, shown, 32).tolist() == [[0, 128], [255, 0]]


def test_negative_samples_are_looked_up_by_their_stored_bits():
    shown = table(12, signed=True)
    samples = np.array([[-2048, 0], [2047, -1]], np.int16)
    assert apply_table(samples, shown, 12).tolist() == [[0, 128], [255, 127]]
