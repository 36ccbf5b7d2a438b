"""The real files of many makers that pydicom brings along, against its own decoders."""

import warnings

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.pixels import apply_voi_lut
from pydicom.pixels.utils import pixel_array

from ultrasound_jax.dicom.read.decode import open_cine

COLOUR = """SC_jpeg_no_color_transform SC_jpeg_no_color_transform_2 SC_rgb_dcmtk_+eb+cr
SC_rgb_dcmtk_+eb+cy+n1 SC_rgb_dcmtk_+eb+cy+n2 SC_rgb_dcmtk_+eb+cy+np
SC_rgb_dcmtk_+eb+cy+s2 SC_rgb_dcmtk_+eb+cy+s4 SC_rgb_gdcm_KY SC_rgb_jls_lossy_line
SC_rgb_jls_lossy_sample SC_rgb_jpeg SC_rgb_jpeg_app14_dcmd SC_rgb_jpeg_dcmd
SC_rgb_jpeg_dcmtk SC_rgb_jpeg_gdcm SC_rgb_jpeg_lossy_gdcm SC_rgb_rle SC_rgb_rle_2frame
SC_rgb_small_odd SC_rgb_small_odd_big_endian SC_rgb_small_odd_jpeg GDCMJ2K_TextGBR
SC_ybr_full_422_uncompressed image_dfl JPEGLSNearLossless_08""".split()
DEEP = """SC_rgb_rle_16bit SC_rgb_rle_16bit_2frame SC_rgb_rle_32bit
SC_rgb_rle_32bit_2frame rtdose rtdose_expb rtdose_rle rtdose_1frame""".split()
WINDOWED = """MR_small MR_small_RLE MR_small_bigendian MR_small_expb MR_small_implicit
MR_small_jp2klossless MR_small_jpeg_ls_lossless MR_small_padded JPEG2000
examples_overlay""".split()


def both(name):
    """Our frames, and pydicom's data set and first frame."""
    path = get_testdata_file(f"{name}.dcm", download=False)
    if path is None:
        pytest.skip(f"this pydicom comes without {name}.dcm")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = dcmread(path)
        first = pixel_array(dataset, index=0)
    with open_cine(path) as cine:
        frames = list(cine.frames())
    assert len(frames) == int(dataset.get("NumberOfFrames", 1))
    return frames, dataset, first


@pytest.mark.parametrize("name", COLOUR)
def test_8_bit_files_equal_pydicom(name):
    frames, dataset, first = both(name)
    in_ybr = dataset.PhotometricInterpretation.startswith("YBR_FULL")
    assert np.abs(frames[0].astype(int) - first).max() <= in_ybr


@pytest.mark.parametrize("name", DEEP)
def test_deeper_files_are_scaled_by_their_bits(name):
    frames, dataset, first = both(name)
    expected = first / (2.0**dataset.BitsStored - 1) * 255
    assert np.abs(frames[0] - expected).max() <= 0.51


@pytest.mark.parametrize("name", WINDOWED)
def test_deeper_files_with_a_window_equal_pydicoms_window(name):
    frames, dataset, first = both(name)
    bits = dataset.BitsStored
    low = -(2.0 ** (bits - 1)) if dataset.PixelRepresentation else 0.0
    windowed = apply_voi_lut(first, dataset) if "WindowWidth" in dataset else first
    expected = (windowed - low) / (2.0**bits - 1) * 255
    if dataset.get("SmallestImagePixelValue") is not None and windowed is first:
        span = dataset.LargestImagePixelValue - dataset.SmallestImagePixelValue
        expected = (first - float(dataset.SmallestImagePixelValue)) / span * 255
    assert np.abs(frames[0] - np.clip(expected, 0, 255)).max() <= 1


def test_the_same_picture_in_every_syntax_is_the_same():
    pictures = [both(name)[0][0] for name in WINDOWED if name.startswith("MR_small")]
    for picture in pictures[1:]:
        assert np.array_equal(picture, pictures[0])
