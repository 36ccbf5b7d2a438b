import tracemalloc

import cv2
import numpy as np
import pytest

from tests.dicom.scans import Made, burned_in, header, moments_of, phantom, speckle
from ultrasound_jax.dicom.clean.cleaning import (
    CleanSettings,
    plan_cleaning,
    prepare_frames,
)
from ultrasound_jax.dicom.clean.overlays import find_overlays
from ultrasound_jax.dicom.clean.pixel_statistics import spread_out
from ultrasound_jax.dicom.read.regions import Region
from ultrasound_jax.types import InputError


def region(left, top, right, bottom, mm_x=0.5, mm_y=0.5, index=0, **changes):
    values = {
        "spatial_format": 1,
        "data_type": 1,
        "units_x": 3,
        "units_y": 3,
        "reference_x": None,
        "reference_y": None,
        "flags": 0,
    }
    return Region(
        left,
        top,
        right,
        bottom,
        mm_x=mm_x,
        mm_y=mm_y,
        index=index,
        **(values | changes),
    )


def screen(rgb=False):
    """A phantom on a larger screen with marks around it, and where it stands."""
    fan, truth = phantom(1)
    clip = np.zeros((len(fan), 320, 400), np.uint8)
    clip[:, 30:286, 70:326] = np.maximum(fan, np.where(truth, 0, burned_in(256)))
    cv2.putText(clip[0], "JANE DOE", (5, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 255, 2)
    clip[1:, :30] = clip[0, :30]
    if rgb:
        clip = np.repeat(clip[..., None], 3, axis=3)
    return clip, region(70, 30, 325, 285)


def test_frames_come_cropped_masked_grey_and_square():
    clip, box = screen(rgb=True)
    cleaned = list(prepare_frames(Made(clip, box), CleanSettings(size=128)))
    fan, truth = phantom(1)
    assert len(cleaned) == len(clip)
    assert cleaned[0].shape == (128, 128) and cleaned[0].dtype == np.uint8
    expected = cv2.resize(fan[3] * truth, (128, 128), interpolation=cv2.INTER_AREA)
    assert np.abs(cleaned[3].astype(int) - expected).mean() < 0.5
    marks = cv2.resize(burned_in(256), (128, 128), interpolation=cv2.INTER_AREA)
    inside = cv2.resize(truth.astype(np.float32), (128, 128)) > 0
    inside = cv2.dilate(inside.astype(np.uint8), np.ones((5, 5))) > 0
    assert (cleaned[3][(marks > 60) & ~inside] == 0).all()


def test_the_last_row_and_column_of_the_region_are_included():
    clip = speckle((60, 80))
    settings = CleanSettings(size=0, mask_fan=False)
    frame = next(prepare_frames(Made(clip, region(10, 5, 69, 54)), settings))
    np.testing.assert_array_equal(frame, clip[0, 5:55, 10:70])


def test_a_region_outside_the_picture_is_clipped_and_noted():
    cleaning = plan_cleaning(
        Made(speckle((60, 80)), region(10, 5, 200, 90)), CleanSettings()
    )
    assert cleaning.box == (10, 5, 79, 59)
    assert "clipped" in " ".join(cleaning.notes)


def test_the_asked_region_is_taken():
    clip = speckle((60, 80))
    regions = region(0, 0, 39, 59), region(40, 0, 79, 59, index=1)
    settings = CleanSettings(region=1, size=0)
    assert plan_cleaning(Made(clip, *regions), settings).box == (40, 0, 79, 59)
    with pytest.raises(InputError, match="region 2"):
        plan_cleaning(Made(clip, *regions), CleanSettings(region=2))
    with pytest.raises(InputError, match="region 0"):
        plan_cleaning(Made(clip), CleanSettings(region=0))


def test_red_and_luminance_and_colour_are_what_they_say():
    clip = np.stack([speckle((60, 80), seed=s) for s in range(3)], -1)

    def cleaned(grey):
        settings = CleanSettings(size=0, grey=grey, mask_fan=False)
        return next(prepare_frames(Made(clip), settings))

    np.testing.assert_array_equal(cleaned("red"), clip[0, ..., 0])
    np.testing.assert_array_equal(cleaned("none"), clip[0])
    weights = clip[0] @ np.array([0.299, 0.587, 0.114])
    assert np.abs(cleaned("luminance") - weights).max() <= 0.51


def test_the_size_of_a_pixel_follows_crop_and_letterbox():
    clip = speckle((100, 200))
    cleaning = plan_cleaning(Made(clip, region(0, 0, 199, 99)), CleanSettings(size=50))
    # 200 pixels of 0.5 mm are 100 mm, now over 50 pixels.
    assert cleaning.out_mm == pytest.approx((2.0, 2.0))


def test_pixels_that_are_not_square_are_made_so():
    clip = speckle((100, 100))
    wide = region(0, 0, 99, 99, mm_x=1.0, mm_y=0.5)
    made = Made(clip, wide)
    frame = next(prepare_frames(made, CleanSettings(size=100)))
    rows = np.nonzero(frame.any(1))[0]
    assert len(rows) == 50
    assert plan_cleaning(made, CleanSettings(size=100)).out_mm == pytest.approx((1, 1))


def test_a_cine_without_echoes_is_refused_unless_it_may_stay_unmasked():
    black = Made(np.zeros((3, 60, 80), np.uint8))
    with pytest.raises(InputError, match="no echoes"):
        plan_cleaning(black, CleanSettings())
    cleaning = plan_cleaning(black, CleanSettings(mask_fan=False))
    assert "nothing is masked" in " ".join(cleaning.review)


def test_a_frame_of_another_size_is_refused():
    frames = [*speckle((60, 80), frames=40)]
    frames[2] = np.zeros((50, 80), np.uint8)  # not among those looked at for the fan
    assert 2 not in spread_out(40, 32)
    with pytest.raises(InputError, match="80 x 50"):
        list(prepare_frames(Made(frames), CleanSettings()))


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match="grey"):
        CleanSettings(grey="green")
    with pytest.raises(InputError, match="size"):
        CleanSettings(size=-1)


def test_a_thousand_frames_take_no_more_memory_than_a_hundred():
    base = speckle((120, 160), frames=4)

    class Long:
        def __init__(self, count):
            self.header = header(count)

        def frames(self):
            for index in range(self.header.frames):
                yield np.roll(base[index % 4], index, axis=1)

    peaks = []
    for count in (100, 1000):
        tracemalloc.start()
        for _ in prepare_frames(Long(count), CleanSettings(size=64)):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] + 1e5


def test_calipers_in_a_cine_are_found_and_speckle_is_not():
    clip = speckle((200, 200))
    inside = np.ones((200, 200), bool)
    assert not find_overlays(moments_of(clip), inside).suspected
    marked = clip.copy()
    for frame in marked:
        cv2.drawMarker(frame, (60, 60), 255, cv2.MARKER_CROSS, 15, 1)
        cv2.putText(frame, "3.2 cm", (100, 120), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1)
    assert find_overlays(moments_of(marked), inside).suspected
    assert not find_overlays(moments_of(marked), ~inside).suspected


@pytest.mark.parametrize("patient", range(3))
def test_a_bright_pleura_that_stands_still_is_no_mark(patient):
    frames, truth = phantom(patient)
    assert not find_overlays(moments_of(frames), truth).suspected
    assert not find_overlays(moments_of(frames[:1]), truth).suspected
    marked = frames.copy()
    for frame in marked:
        cv2.putText(frame, "3.2 cm", (90, 190), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1)
        cv2.drawMarker(frame, (130, 170), 255, cv2.MARKER_CROSS, 11, 1)
    assert find_overlays(moments_of(marked), truth).suspected
    assert find_overlays(moments_of(marked[:1]), truth).suspected


@pytest.mark.parametrize("level", [200, 255])
def test_text_that_appears_late_in_the_fan_is_found(level):
    clip, truth = phantom(1, frames=60)
    assert not find_overlays(moments_of(clip[::2]), truth).suspected
    late = clip.copy()
    low = int(np.argwhere(truth[:, 128])[-1, 0])
    for frame in late[51:]:
        at = (60, low - 12)
        cv2.putText(frame, "MRN 555123", at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, level, 1)
    found = find_overlays(moments_of(late[::2]), truth)
    assert found.fleeting >= 20 and found.suspected and found.still == 0
    review = " ".join(plan_cleaning(Made(late), CleanSettings()).review)
    assert "in some frames only" in review


@pytest.mark.parametrize("patient", range(5))
def test_a_cine_that_freezes_has_no_marks_that_come_and_go(patient):
    clip, truth = phantom(patient)
    frozen = np.concatenate([clip, np.repeat(clip[-1:], 5, axis=0)])
    assert find_overlays(moments_of(frozen), truth).fleeting == 0


def test_coloured_marks_are_found_and_doppler_is_told_from_them():
    clip = np.repeat(speckle((200, 200))[..., None], 3, axis=3)
    inside = np.ones((200, 200), bool)
    lines = clip.copy()
    for frame in lines:
        cv2.line(frame, (20, 20), (150, 90), (255, 255, 0), 2)
    found = find_overlays(moments_of(lines), inside)
    assert found.coloured > 100 and not found.flow
    flowing = clip.copy()
    flowing[:, 60:140, 60:140] = flowing[:, 60:140, 60:140] // 2 + (120, 20, 0)
    found = find_overlays(moments_of(flowing), inside)
    assert found.flow and found.coloured < 100


def spectral(left, top, right, bottom, index=0, **changes):
    known = {"spatial_format": 3, "data_type": 3, "units_x": 4, "units_y": 7}
    return region(left, top, right, bottom, None, None, index, **(known | changes))


def test_where_no_region_is_a_plane_there_is_no_fan_to_mask_to():
    made = Made(speckle((60, 80)), spectral(10, 5, 69, 54))
    with pytest.raises(InputError, match="spectral: no region is 2-D"):
        plan_cleaning(made, CleanSettings())
    whole = plan_cleaning(made, CleanSettings(mask_fan=False))
    assert whole.box == (0, 0, 79, 59) and whole.fan is None
    cut = plan_cleaning(made, CleanSettings(region=0))
    assert (cut.box, cut.fan, cut.mask) == ((10, 5, 69, 54), None, None)
    assert cut.review == (
        "spectral: there is no fan, and text within the region stays",
    )


def test_a_trace_beside_a_plane_has_no_fan_either():
    clip, box = screen()
    made = Made(clip, box, spectral(0, 290, 399, 319, index=1))
    assert plan_cleaning(made, CleanSettings()).fan is not None
    assert plan_cleaning(made, CleanSettings(region=1)).fan is None


def test_a_trace_that_lies_outside_the_picture_gives_nothing_of_it():
    made = Made(speckle((60, 80)), spectral(300, 5, 400, 54))
    with pytest.raises(InputError, match="region 0 lies outside the picture"):
        plan_cleaning(made, CleanSettings(region=0))


def test_one_axis_of_a_known_scale_follows_the_letterbox():
    m_mode = region(0, 0, 199, 99, None, 0.5, spatial_format=2, units_x=4)
    settings = CleanSettings(region=0, size=50)
    cleaning = plan_cleaning(Made(speckle((100, 200)), m_mode), settings)
    assert cleaning.out_mm == (None, pytest.approx(2.0))
