"""Real files, each against a decoder of another origin than ours."""

import os
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.pixels import apply_color_lut
from pydicom.pixels.utils import pixel_array

from ultrasound_jax.dicom.read.decode import open_cine
from ultrasound_jax.dicom.read.header import read_header

SHARED = (
    Path(
        os.environ.get("ULTRASOUND_JAX_DATA")
        or Path(__file__).parents[2].parent / "shared" / "data"
    )
    / "dicom_us"
)
FILES = (
    sorted(p for p in SHARED.glob("*/*") if p.is_file()) if SHARED.is_dir() else [None]
)
pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(
        not SHARED.is_dir(), reason="the real DICOM files are absent: shared/data"
    ),
]


def named(name):
    return next(path for path in FILES if path.name == name)


def reference(path, index):
    """pydicom with Pillow or its own code; GDCM reads only our lossless JPEG."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = dcmread(path)
        frame = pixel_array(dataset, index=index)
        if dataset.PhotometricInterpretation == "PALETTE COLOR":
            frame = apply_color_lut(frame, dataset) >> 8
    return frame


@pytest.mark.parametrize("path", FILES, ids=lambda path: path and path.name)
def test_real_files_equal_an_independent_decoder(path):
    if "expb" in path.name:
        pytest.skip("pydicom 3.0 reads big endian colour tables as little endian")
    with open_cine(path) as cine:
        frames = list(cine.frames())
    last = len(frames) - 1
    for index in {0, last}:
        expected = reference(path, index)
        assert frames[index].shape == expected.shape
        # Two ways of rounding YCbCr; everything else is exact.
        away = np.abs(frames[index].astype(int) - expected)
        assert away.max() <= (1 if cine.colour == "ybr" else 0)


def test_the_same_palette_cine_in_three_syntaxes_is_the_same():
    names = ("OBXXXX1A_2frame.dcm", "OBXXXX1A_expb_2frame.dcm")
    little, big, rle = (
        stack(named(name)) for name in (*names, "OBXXXX1A_rle_2frame.dcm")
    )
    assert np.array_equal(little, big) and np.array_equal(little, rle)


def stack(path, **options):
    with open_cine(path, **options) as cine:
        return np.stack(list(cine.frames()))


def hues(picture):
    """How many hues strongly coloured pixels have, in steps of 30 degrees."""
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
    strong = hsv[(hsv[..., 1] > 120) & (hsv[..., 2] > 80)]
    return {int(hue) // 15 for hue in strong[:, 0]}


def test_palette_files_show_colours():
    for name in ("OBXXXX1A_2frame.dcm", "gdcm-US-ALOKA-16.dcm", "examples_palette.dcm"):
        assert hues(stack(named(name))[0]), name


@pytest.mark.parametrize("name", ["DIRW0007", "examples_ybr_color.dcm"])
def test_ybr_cines_are_not_green(name):
    frames = stack(named(name))[::8].reshape(-1, 3).astype(int)
    dark = frames[frames.max(axis=1) < 160]
    greener = dark[:, 1] - (dark[:, 0] + dark[:, 2]) / 2
    assert abs(greener.mean()) < 3, "untransformed chroma is 67 levels off"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path and path.name)
def test_grey_is_the_luminance_of_real_files(path):
    weights = stack(path)
    if weights.ndim == 4:
        weights = weights @ np.array([0.299, 0.587, 0.114])
    away = np.abs(stack(path, want="grey") - weights)
    assert np.mean(away > 1.5) < 0.005, "but for colours that no screen has"


def test_the_times_of_a_cine_that_varies_are_kept():
    timing = read_header(named("DIRW0007")).timing
    assert timing.source == "FrameTimeVector" and len(timing.times) == 65
    assert np.all(np.diff(timing.times) > 0.03)
    assert timing.rate == pytest.approx(26.25, abs=0.01)
