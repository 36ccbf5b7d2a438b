import cv2
import numpy as np
import pytest

from tests.dicom.scans import (
    burned_in,
    ecg,
    moments_of,
    overlap,
    phantom,
    speckle,
    widened,
)
from ultrasound_jax.dicom.clean import find_fan
from ultrasound_jax.dicom.clean.fan_shape import (
    Fan,
    whole,
)
from ultrasound_jax.dicom.clean.find_fan import fit_fan


def fitted(frames, **hints):
    fit = fit_fan(moments_of(frames), **hints)
    assert fit is not None
    return fit, fit.fan.mask(*frames[0].shape[:2])


def lost(frames, truth, mask):
    """Share of the fan's light that the mask takes away."""
    light = np.max(frames, 0).astype(int)
    return float(light[truth & ~mask].sum() / light[truth].sum())


@pytest.mark.parametrize("patient", range(5))
def test_the_fan_of_a_phantom_is_found(patient):
    frames, truth = phantom(patient)
    fit, mask = fitted(frames)
    assert fit.fan.kind == "sector"
    # A margin of one pixel around a fan of this size is worth 0.02 to 0.03.
    assert overlap(mask, truth) > 0.95
    assert lost(frames, truth, mask) < 0.01
    assert fit.kept > 0.99


@pytest.mark.parametrize("patient", range(3))
@pytest.mark.parametrize("still", [False, True])
def test_burned_in_marks_are_outside_in_cines_and_stills(patient, still):
    frames, truth = phantom(patient)
    marks = burned_in(256)
    marked = [np.maximum(f, np.where(truth, 0, marks)) for f in frames]
    _, mask = fitted(marked[:1] if still else marked)
    assert overlap(mask, truth) > 0.94
    legible = (marks > 0) & ~widened(truth)
    assert legible.sum() > 1000
    assert (mask & legible).sum() < 0.01 * legible.sum()


def test_a_moving_trace_beside_the_fan_is_outside():
    frames, truth = phantom(1)
    traced = [np.maximum(f, ecg(256, tick)) for tick, f in enumerate(frames)]
    _, mask = fitted(traced)
    trace = ecg(256, len(frames)) > 0
    assert overlap(mask, truth) > 0.94
    assert not (mask & trace & ~truth).any()


def test_text_that_touches_the_corner_of_the_fan_is_cut_off():
    frames, truth = phantom(3)
    text = np.zeros((256, 256), np.uint8)
    corner = np.argwhere(truth)[0]
    at = (int(corner[1]) - 100, int(corner[0]) + 9)
    cv2.putText(text, "DOE^JANE 12345", at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 255, 1)
    touching = text > 0
    assert widened(touching)[truth].any()
    _, mask = fitted([np.maximum(f, text) for f in frames])
    beside = touching & ~widened(truth)
    assert beside.sum() > 200
    assert (mask & beside).sum() == 0
    assert overlap(mask, truth) > 0.94


@pytest.mark.parametrize("still", [False, True])
def test_letters_that_the_border_cuts_are_removed_whole(still):
    frames, truth = phantom(0)
    text = np.zeros((256, 256), np.uint8)
    side = int(np.argwhere(truth[150])[-1, 0])
    at = (side + 2, 154)  # the margin around the fan reaches the first letter
    cv2.putText(text, "DOE", at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 255, 1)
    text[truth] = 0
    marked = [np.maximum(f, text) for f in frames]
    fit, _ = fitted(marked[:1] if still else marked)
    assert still or (fit.fan.mask(256, 256) & (text > 0)).any()
    assert not (fit.mask & (text > 0)).any()
    assert lost(frames, truth, fit.mask) < 0.02


def report(size):
    """A page of text, white on black or the other way round."""
    page = np.zeros((size, size), np.uint8)
    for row in range(20, size, 18):
        cv2.putText(page, "EF 55 % LVOT 2.1", (8, row), 0, 0.45, 255, 1)
    return page


ODD = {
    "white": np.full((256, 256), 255, np.uint8),
    "black": np.zeros((256, 256), np.uint8),
    "grey": np.full((256, 256), 79, np.uint8),
    "report": report(256),
    "paper": 255 - report(256),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("place", [0, 3, -1])
@pytest.mark.parametrize("count", [8, 4])
def test_one_odd_frame_does_not_open_the_fan(odd, place, count):
    frames, truth = phantom(2)
    marks = np.where(truth, 0, burned_in(256))
    marked = np.maximum(frames[:count], marks)
    _, before = fitted(marked)
    marked[place] = ODD[odd]
    fit, mask = fitted(marked)
    assert fit.fan.kind == "sector"
    assert overlap(mask, before) > 0.98
    legible = (marks > 0) & ~widened(truth)
    assert (fit.mask & legible).sum() < 0.01 * legible.sum()


def test_a_coloured_flat_frame_does_not_open_the_fan():
    frames, truth = phantom(2)
    marked = np.maximum(frames, np.where(truth, 0, burned_in(256)))
    _, before = fitted(marked)
    coloured = np.repeat(marked[..., None], 3, axis=3)
    coloured[-1] = (0, 135, 0)
    moments = moments_of(coloured)
    assert moments.colour is not None and moments.colour.max() < 5
    _, mask = fitted(coloured)
    assert overlap(mask, before) > 0.98


def test_what_is_unlike_the_rest_is_said():
    frames, _ = phantom(2)
    odd = frames.copy()
    odd[5] = ODD["white"]
    assert "1 of 8 frames looked at is flat" in " ".join(fitted(odd)[0].notes)
    odd[5] = ODD["paper"]
    assert "1 of 8 frames looked at is unlike" in " ".join(fitted(odd)[0].review)
    assert not fitted(frames)[0].review


def test_a_cine_that_changes_halfway_is_looked_at_as_a_whole():
    frames, _ = phantom(2)
    brighter = frames.copy()
    brighter[4:] = np.minimum(brighter[4:].astype(int) * 3 + 20, 255)
    assert moments_of(brighter).frames == 8


def test_a_probe_that_is_moved_does_not_make_frames_unlike():
    still = phantom(2)[0][0]
    moved = [np.roll(still, 3 * max(0, k - 17), axis=0) for k in range(24)]
    assert moments_of(moved).unlike == 0
    moved[-3:] = [ODD["paper"]] * 3
    assert moments_of(moved).unlike == 3


def test_marks_that_appear_once_are_no_echoes():
    frames, truth = phantom(2, frames=24)
    _, before = fitted(frames)
    late = frames.copy()
    late[16:] = np.maximum(late[16:], np.where(truth, 0, burned_in(256)))
    fit, mask = fitted(late)
    assert overlap(mask, before) > 0.98
    legible = (burned_in(256) > 0) & ~widened(truth)
    assert (fit.mask & legible).sum() < 0.01 * legible.sum()


def test_dark_tissue_within_the_fan_is_kept():
    frames, truth = phantom(2)
    hole = np.zeros_like(truth)
    hole[110:170, 90:170] = True
    hole &= truth
    _, mask = fitted([np.where(hole, 0, f).astype(np.uint8) for f in frames])
    assert mask[hole].all()


def test_a_side_in_shadow_is_completed_around_the_middle_of_the_header():
    frames, truth = phantom(3)
    shade = truth.copy()
    shade[:, 48:] = False
    dark = [np.where(shade, 0, f).astype(np.uint8) for f in frames]
    _, mask = fitted(dark, middle=127.5)
    assert mask[shade].mean() > 0.85


@pytest.mark.parametrize("still", [False, True])
def test_the_rectangle_of_a_linear_probe_is_found(still):
    clip = np.zeros((6, 300, 400), np.uint8)
    clip[:, 40:260, 90:310] = speckle((220, 220), frames=6)
    cv2.putText(clip[0], "NAME", (5, 25), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 255, 2)
    clip[1:, :40] = clip[0, :40]
    truth = np.zeros((300, 400), bool)
    truth[40:260, 90:310] = True
    fit, mask = fitted(clip[:1] if still else clip)
    assert fit.fan.kind == "rectangle"
    assert overlap(mask, truth) > 0.95
    assert not mask[:30].any()


def test_the_trapezoid_of_a_virtual_convex_probe_is_found():
    rows, columns = np.mgrid[:300, :400]
    truth = (rows >= 30) & (rows < 280) & (np.abs(columns - 200) < 90 + 0.25 * rows)
    clip = np.where(truth, speckle((300, 400)), 0).astype(np.uint8)
    fit, mask = fitted(clip)
    assert fit.fan.kind == "trapezoid"
    assert overlap(mask, truth) > 0.95


def test_a_cut_at_the_bottom_keeps_the_box_below_closed():
    frames, truth = phantom(0)
    frames = frames.copy()
    below = int(np.argwhere(truth)[-1][0]) - 40
    frames[:, below:] = 0
    _, mask = fitted(frames)
    assert not mask[below + 6 :].any()


def test_jpeg_noise_does_not_move_the_fan():
    frames, truth = phantom(4)
    marks = np.where(truth, 0, burned_in(256))
    lossy = []
    for frame in frames:
        _, code = cv2.imencode(
            ".jpg", np.maximum(frame, marks), [cv2.IMWRITE_JPEG_QUALITY, 60]
        )
        lossy.append(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE))
    _, mask = fitted(lossy)
    assert overlap(mask, truth) > 0.93


def test_a_grey_background_is_background():
    frames, truth = phantom(0)
    _, mask = fitted([np.where(truth, f, 45).astype(np.uint8) for f in frames])
    assert overlap(mask, truth) > 0.93


def test_the_middle_that_a_header_states_is_used():
    frames, truth = phantom(1)
    fit, mask = fitted(frames, middle=127.5)
    assert fit.fan.apex is not None
    assert fit.fan.apex[0] == pytest.approx(127.5, abs=0.01)
    assert overlap(mask, truth) > 0.95


@pytest.mark.parametrize("frames", [1, 4])
def test_a_fan_without_texture_is_found_beside_text(frames):
    drawn = np.zeros((240, 320), np.uint8)
    cv2.ellipse(drawn, (160, 20), (200, 200), 0, 50, 130, 128, -1)
    truth = drawn > 0
    for words, at in (("DOE^JANE", (5, 15)), ("19370713", (5, 235))):
        cv2.putText(drawn, words, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1)
    _, mask = fitted([drawn] * frames)
    assert overlap(mask, truth) > 0.95
    assert not (mask & (drawn == 255)).any()


def test_a_picture_full_of_tissue_is_kept_whole_and_said_to_be():
    fit, mask = fitted(speckle((200, 300)))
    assert mask.all()
    assert "nothing is masked" in " ".join(fit.review)


def test_a_black_picture_has_no_fan():
    assert fit_fan(moments_of([np.zeros((80, 80), np.uint8)] * 3)) is None


def test_text_alone_has_no_fan():
    marks = burned_in(512)
    assert fit_fan(moments_of([marks] * 4)) is None


def test_an_irregular_shape_falls_back_to_its_hull_and_asks_for_review():
    truth = np.zeros((256, 256), np.uint8)
    cv2.fillPoly(truth, [np.array([[20, 20], [240, 120], [20, 236]])], 1)
    truth[100:140, 20:200] = 1
    clip = speckle((256, 256)) * truth
    fit, mask = fitted(clip)
    assert mask[truth > 0].mean() > 0.97
    assert fit.covered >= 0.97


def test_the_hull_leaves_out_text_that_touches_nothing(monkeypatch):
    monkeypatch.setattr(find_fan, "COVERED", 1.1)  # no shape is good enough
    truth = np.zeros((256, 256), np.uint8)
    cv2.fillPoly(truth, [np.array([[20, 20], [240, 120], [20, 236]])], 1)
    truth[90:160, 20:170] = 0
    text = np.zeros((256, 256), np.uint8)
    cv2.putText(text, "DOE^JANE", (50, 125), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 255, 1)
    cv2.putText(text, "1234567", (140, 250), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2)
    fit, mask = fitted(np.maximum(speckle((256, 256)) * truth, text))
    assert fit.fan.kind == "hull"
    assert (mask & (text > 0)).any()
    assert not (fit.mask & (text > 0)).any()
    assert fit.mask[truth > 0].mean() > 0.97
    assert "hull of what moves" in " ".join(fit.review)


def test_the_hull_is_of_areas_that_change(monkeypatch):
    monkeypatch.setattr(find_fan, "COVERED", 1.1)
    clip = np.zeros((8, 256, 256), np.uint8)
    clip[:, 20:150, 20:236] = speckle((130, 216))
    clip[:, 190:240, 60:180] = speckle((50, 120), seed=1, frames=1)  # a picture beside
    fit, mask = fitted(clip)
    assert fit.fan.kind == "hull"
    assert not mask[190:].any()
    assert mask[20:150, 20:236].mean() > 0.97


def test_a_fan_drawn_at_twice_the_size_covers_the_same():
    fan = Fan(
        "sector", (0.0, 0.0, 99.0, 99.0), (49.5, -40.0), (-0.6, 0.6), (45.0, 130.0)
    )
    small = fan.mask(100, 100)
    large = fan.scaled(2.0, 2.0).mask(200, 200)
    halved = cv2.resize(
        large.astype(np.float32), (100, 100), interpolation=cv2.INTER_AREA
    )
    assert overlap(halved > 0.5, small) > 0.98


def test_the_hull_is_the_polygon_whichever_way_round():
    corners = ((10.0, 10.0), (90.0, 20.0), (50.0, 80.0))
    truth = np.zeros((100, 100), np.uint8)
    cv2.fillPoly(truth, [np.array(corners, np.int32)], 1)
    box = (0.0, 0.0, 99.0, 99.0)
    for order in (corners, corners[::-1]):
        mask = Fan("hull", box, corners=order).mask(100, 100)
        assert overlap(mask, truth > 0) > 0.96


def test_the_whole_masks_nothing():
    assert whole(7, 9).mask(7, 9).all()
