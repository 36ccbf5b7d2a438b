from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest

from ultrasound_jax.media.cutting import (
    clip_step,
    clip_windows,
    pad_tail,
)
from ultrasound_jax.types import InputError


def test_the_published_cut_steps_by_24_frames():
    assert clip_step(30, 0.2) == 24


def test_the_step_is_exact_where_floats_fall_short():
    for length in range(1, 200):
        for tenths in range(10):
            exact = max(1, floor(length * (1 - Fraction(tenths, 10))))
            assert clip_step(length, tenths / 10) == exact, (length, tenths)


@pytest.mark.parametrize(("length", "overlap"), [(0, 0.2), (30, 1.0), (30, -0.1)])
def test_a_step_that_cannot_be_is_refused(length, overlap):
    with pytest.raises(InputError, match="allowed"):
        clip_step(length, overlap)


def test_every_start_below_the_end_gives_a_clip():
    assert clip_windows(50, 30, 24, contained="keep") == [(0, 30), (24, 50), (48, 50)]


def test_a_video_gives_the_rounded_up_share_of_its_frames():
    for frames in range(130):
        windows = clip_windows(frames, 30, 24, contained="keep")
        assert len(windows) == ceil(frames / 24)
        assert all(0 < end - start <= 30 for start, end in windows)
        assert {f for s, e in windows for f in range(s, e)} == set(range(frames))


def test_a_clip_inside_the_clip_before_is_part_of_it():
    assert clip_windows(50, 30, 24) == [(0, 30), (24, 50)]
    assert clip_windows(41, 10, 8) == [(0, 10), (8, 18), (16, 26), (24, 34), (32, 41)]
    for frames in range(1, 130):
        windows = clip_windows(frames, 30, 24)
        assert len(windows) == 1 + max(0, ceil((frames - 30) / 24))
        assert {f for s, e in windows for f in range(s, e)} == set(range(frames))
        kept = clip_windows(frames, 30, 24, contained="keep")
        assert windows == kept[: len(windows)]
        assert all(start >= windows[-1][0] for start, _ in kept[len(windows) :])


def test_steps_as_long_as_clips_leave_nothing_to_join():
    for frames in range(30):
        joined = clip_windows(frames, 4, 4)
        assert joined == clip_windows(frames, 4, 4, contained="keep")


def test_another_way_with_contained_clips_is_refused():
    with pytest.raises(InputError, match="'merge', allowed are join, keep"):
        clip_windows(50, 30, 24, contained="merge")


@pytest.mark.parametrize("numbers", [(-1, 30, 24), (10, 0, 1), (10, 30, 0)])
def test_windows_that_cannot_be_are_refused(numbers):
    with pytest.raises(InputError, match="allowed"):
        clip_windows(*numbers)


def test_a_short_tail_is_filled_with_its_last_frame():
    clip = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1)
    assert pad_tail(clip, 5).ravel().tolist() == [0, 1, 2, 2, 2]


def test_a_whole_clip_is_left_as_it_is():
    clip = np.zeros((4, 2, 2, 1), np.uint8)
    assert pad_tail(clip, 4) is clip


@pytest.mark.parametrize("frames", [0, 6])
def test_a_tail_that_cannot_be_filled_is_refused(frames):
    with pytest.raises(InputError, match="1 to 5"):
        pad_tail(np.zeros((frames, 2, 2, 1), np.uint8), 5)
