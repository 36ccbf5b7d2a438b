import cv2
import numpy as np
import pytest

from ultrasound_jax.media.geometry import (
    letterbox,
    resample_times,
)
from ultrasound_jax.types import InputError


def steady(frames, rate):
    return np.arange(frames) / rate


def test_a_wide_image_is_centred_between_black_bands():
    boxed = letterbox(np.full((50, 100), 200, np.uint8), 64)
    assert boxed.shape == (64, 64)
    assert (boxed[16:48] == 200).all()
    assert boxed[:16].max() == boxed[48:].max() == 0


def test_a_tall_image_is_centred_between_black_columns():
    boxed = letterbox(np.full((100, 33), 200, np.uint8), 50)
    columns = np.flatnonzero(boxed.max(axis=0))
    assert (columns[0], columns[-1]) == (17, 32)  # 33 * 50 // 100 = 16 wide


def test_the_longest_side_always_fills_the_square():
    for side in range(1, 400):
        assert letterbox(np.full((side, 1), 9, np.uint8), 112).any(axis=1).all(), side


def test_an_image_of_the_right_size_is_left_as_it_is():
    image = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    assert np.array_equal(letterbox(image, 64), image)


def test_shrinking_averages_over_areas():
    image = np.random.default_rng(0).integers(0, 256, (512, 512), np.uint8)
    means = image.reshape(64, 8, 64, 8).mean(axis=(1, 3))
    assert np.abs(letterbox(image, 64) - means).max() <= 0.5


def test_the_bilinear_scaling_of_the_original_can_be_had():
    image = np.random.default_rng(0).integers(0, 256, (90, 90), np.uint8)
    boxed = letterbox(image, 64, interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(boxed, cv2.resize(image, (64, 64)))


def test_a_mask_keeps_its_two_values():
    mask = (np.random.default_rng(0).random((90, 70)) > 0.5).astype(np.uint8)
    assert set(np.unique(letterbox(mask, 64, interpolation=cv2.INTER_NEAREST))) == {
        0,
        1,
    }


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_are_kept(channels):
    assert letterbox(np.ones((20, 30, channels), np.uint8), 16).shape[2] == channels


def test_wide_pixels_make_a_wide_image():
    boxed = letterbox(np.full((64, 64), 9, np.uint8), 64, pixel_aspect=2.0)
    assert np.flatnonzero(boxed.max(axis=1)).tolist() == list(range(16, 48))


@pytest.mark.parametrize(
    ("shape", "size", "aspect"), [((0, 5), 8, 1.0), ((5, 5), 0, 1.0), ((5, 5), 8, 0.0)]
)
def test_what_has_no_pixels_is_refused(shape, size, aspect):
    with pytest.raises(InputError, match="allowed"):
        letterbox(np.zeros(shape, np.uint8), size, pixel_aspect=aspect)


def test_half_the_rate_takes_every_second_frame():
    assert resample_times(steady(30, 30), 15.0).tolist() == list(range(0, 30, 2))


def test_twice_the_rate_shows_each_frame_twice():
    assert resample_times(steady(4, 10), 20.0).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("rate", [10.0, 22.24, 25.0, 29.97, 60.0])
def test_the_same_rate_takes_every_frame_once(rate):
    times = steady(93, rate)
    assert resample_times(times, rate).tolist() == list(range(93))
    assert resample_times(np.round(times, 3), rate).tolist() == list(range(93))


@pytest.mark.parametrize("rate", [7.0, 10.0, 24.0, 30.0, 50.0])
def test_no_tick_lies_beyond_the_end_and_none_before_it_is_missing(rate):
    for frames in range(2, 80):
        count = len(resample_times(steady(frames, 25), rate))
        assert (count - 1) / rate < frames / 25 <= count / rate + 1.001e-3


def test_each_tick_takes_the_nearest_frame_of_an_uneven_cine():
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.2, 60))
    shown = resample_times(times, 30.0)
    ticks = np.arange(len(shown)) / 30
    nearest = np.abs((times - times[0])[None] - ticks[:, None]).argmin(axis=1)
    assert np.array_equal(shown, nearest)


def test_a_pause_is_as_long_as_it_was():
    times = np.array([0.0, 0.1, 0.2, 1.2, 1.3])
    assert np.bincount(resample_times(times, 10.0))[2:4].tolist() == [6, 5]


def test_one_frame_lasts_as_long_as_it_is_said_to():
    assert resample_times(np.zeros(1), 10.0, frame_seconds=0.3).tolist() == [0, 0, 0]


def test_a_cine_shorter_than_a_tick_still_shows_a_frame():
    assert resample_times(steady(2, 1000), 1.0).tolist() == [0]


@pytest.mark.parametrize(
    ("times", "rate"),
    [([0.0, 0.1], 0.0), ([], 10.0), ([0.0, 0.0], 10.0), ([0.0], 10.0)],
)
def test_times_that_cannot_be_are_refused(times, rate):
    with pytest.raises(InputError):
        resample_times(np.array(times, np.float64), rate)


def test_stretching_fills_the_square_and_keeping_the_aspect_does_not():
    image = np.full((40, 100), 9, np.uint8)
    assert (letterbox(image, 50, stretch=True) == 9).all()
    kept = letterbox(image, 50)
    assert (kept > 0).any(axis=1).sum() == 20 and (kept > 0).any(axis=0).all()
    mean = np.arange(60, dtype=np.uint8)[:, None].repeat(30, axis=1)
    squeezed = letterbox(mean, 10, stretch=True)
    np.testing.assert_allclose(
        squeezed[:, 0], np.arange(60).reshape(10, 6).mean(1), atol=0.5
    )
