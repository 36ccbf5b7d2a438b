"""Every frame is looked at: what does not belong there is withheld, the rest is not."""

from functools import cache

import cv2
import numpy as np
import pytest

from tests.dicom.scans import Made, phantom
from ultrasound_jax.dicom.clean.cleaning import (
    CleanSettings,
    plan_cleaning,
    prepare_frames,
)
from ultrasound_jax.dicom.clean.frame_watch import FrameWatch, listed
from ultrasound_jax.dicom.clean.pixel_statistics import spread_out
from ultrasound_jax.types import InputError

SIZES = ((240, 320), (480, 640), (720, 1280))


@cache
def fan(rows, columns):
    """Where the echoes are."""
    y, x = np.mgrid[:rows, :columns]
    along, across = y - 0.04 * rows, x - columns / 2
    depth = np.hypot(along, across)
    inside = (depth > 0.1 * rows) & (depth < 0.88 * rows)
    return inside & (abs(np.arctan2(across, along)) < 0.6)


@cache
def echoes(rows=240, columns=320, frames=60, kind="sliding", seed=0):
    """Speckle that slides and swells, or that is new in every frame."""
    rng = np.random.default_rng(seed)
    y = np.mgrid[:rows, :columns][0] / rows
    blur = 1.2 * max(1.0, columns / 640)

    def speckle(width):
        noise = rng.rayleigh(1, (rows, width)).astype(np.float32)
        return cv2.GaussianBlur(noise, (0, 0), blur)

    layer = speckle(2 * columns)
    depths = 0.6 + 0.4 * np.sin(9 * y + np.linspace(0, 3, columns))
    clip = []
    for index in range(frames):
        if kind == "sliding":
            texture = np.roll(layer, 2 * index, axis=1)[:, :columns]
            texture = texture + 0.3 * speckle(columns)
            swell = 1 + 0.2 * np.sin(index / 7)
        else:
            texture, swell = speckle(columns), 1.0
        frame = 65 * swell * texture * depths * (1.2 - y)
        clip.append(np.where(fan(rows, columns), np.clip(frame, 4, 255), 0))
    clip = np.stack(clip).astype(np.uint8)
    clip.flags.writeable = False
    return clip


def named(frame, text="DOE JOHN 19500101", at=(0.35, 0.6), tall=0.02, grey=255):
    """A frame with a name on it; `at` and `tall` are shares of its sides."""
    frame = frame.copy()
    rows, columns = frame.shape[:2]
    pixels = max(8, round(tall * rows))
    place = (round(at[0] * columns), round(at[1] * rows))
    colour = grey if isinstance(grey, tuple) else (grey,) * 3
    thick = max(1, round(pixels / 12))
    cv2.putText(frame, text, place, 0, pixels / 21, colour, thick, cv2.LINE_AA)
    return frame


def report(frame, paper=0, ink=230):
    """A screen full of text."""
    page = np.full_like(frame, paper)
    for line in range(9):
        at = (0.2 + 0.03 * (line % 3), 0.15 + 0.09 * line)
        page = named(page, f"DOE JOHN {line} finding 4.{line} cm", at, 0.025, ink)
    return page


def still(frame):
    """Another patient's picture in the same fan."""
    other = echoes(*frame.shape, frames=1, seed=9)[0][:, ::-1]
    blot = cv2.GaussianBlur(np.eye(*frame.shape, dtype=np.float32), (0, 0), 25)
    grey = other * (0.5 + 1.8 * blot / blot.max())
    return np.clip(grey, 0, 255).astype(np.uint8)


def lossy(frame, level=85):
    """What baseline JPEG leaves of a frame."""
    code = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, level])[1]
    return cv2.imdecode(code, cv2.IMREAD_UNCHANGED)


def watched(clip, mask=None):
    watch = FrameWatch()
    for frame in clip:
        watch.look(frame)
    return watch.judge(fan(*clip[0].shape[:2]) if mask is None else mask)


def withheld(clip, mask=None):
    return [one.frame - 1 for one in watched(clip, mask).withheld]


def put(clip, places, draw):
    """The cine with some frames drawn on or replaced."""
    clip = [frame.copy() for frame in clip]
    for place in places:
        clip[place] = draw(clip[place])
    return clip


SCREENS = {
    "report": report,
    "page": lambda frame: report(frame, 245, 10),
    "worksheet": lambda frame: report(frame, 60, 220),
    "name on black": lambda frame: named(np.zeros_like(frame)),
    "still": still,
    "inverted": lambda frame: 255 - frame,
    "grey": lambda frame: np.full_like(frame, 128),
    "white": lambda frame: np.full_like(frame, 255),
}
RUNS = ([17], [17, 18], [30], [0], [0, 1], [59], [58, 59], list(range(21, 30)))


@pytest.mark.parametrize("kind", ["sliding", "new"])
@pytest.mark.parametrize("name", SCREENS)
def test_a_foreign_screen_is_withheld_wherever_it_stands(name, kind):
    clip = echoes(kind=kind)
    for places in RUNS:
        assert withheld(put(clip, places, SCREENS[name])) == places, (name, places)


@pytest.mark.parametrize("kind", ["sliding", "new"])
@pytest.mark.parametrize("size", SIZES)
def test_a_name_over_the_echoes_is_withheld(size, kind):
    clip = echoes(*size, frames=30, kind=kind)
    for text, at, grey in (
        ("DOE JOHN 19500101", (0.35, 0.6), 255),
        ("Mueller, Anna", (0.45, 0.35), 230),
        ("KIM", (0.5, 0.75), 255),
        ("MRN 555123", (0.4, 0.5), 200),
    ):
        for places in ([11], [5, 6, 7], [0], [29], list(range(14, 22))):
            made = put(clip, places, lambda frame: named(frame, text, at, grey=grey))  # noqa: B023
            assert withheld(made) == places, (text, places)


@pytest.mark.parametrize("grey", [255, 200, 170, 0])
def test_a_name_is_found_in_jpeg_and_in_any_grey_that_can_be_read(grey):
    clip = [lossy(frame) for frame in echoes(480, 640, 30)]
    made = put(clip, [12], lambda frame: lossy(named(frame, grey=grey, tall=0.025)))
    assert withheld(made) == [12]
    assert withheld(clip) == []


def test_names_on_a_phantom_are_withheld():
    clip, truth = phantom(1, frames=60)
    assert withheld(clip, truth) == []
    made = put(clip, [31, 32], lambda frame: named(frame, "DOE 1950", (0.35, 0.55)))
    assert withheld(made, truth) == [31, 32]


@pytest.mark.parametrize("colour", [(255, 255, 0), (255, 0, 0), (0, 0, 255)])
def test_coloured_letters_are_withheld_where_colours_are_kept(colour):
    grey = echoes(frames=30)
    clip = np.repeat(grey[..., None], 3, axis=3)
    made = put(clip, [13], lambda frame: named(frame, grey=colour))
    settings = CleanSettings(size=0, grey="none")
    plan = plan_cleaning(Made(np.stack(made)), settings)
    assert [one.frame for one in plan.watched.withheld] == [14]


def test_a_screen_that_fades_in_is_withheld_as_far_as_it_is_seen():
    clip = [frame.copy() for frame in echoes(480, 640)]
    page = report(clip[0])
    for place, part in enumerate((0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25), 20):
        clip[place] = cv2.addWeighted(page, part, clip[place], 1 - part, 0)
    assert set(range(20, 27)) <= set(withheld(clip)) <= set(range(18, 29))


@pytest.mark.parametrize("kind", ("sliding", "frozen"))
def test_a_screen_that_fades_in_over_ten_frames_is_withheld_from_its_first_half(kind):
    clip = list(echoes(frames=40))
    clip = clip[:1] * 40 if kind == "frozen" else clip
    page = report(clip[0], paper=250, ink=20)
    for place in range(10):
        part = (place + 1) / 10
        clip[22 + place] = cv2.addWeighted(page, part, clip[22 + place], 1 - part, 0)
    assert set(range(26, 32)) <= set(withheld(clip))


@pytest.mark.parametrize("kind", ("sliding", "frozen"))
def test_a_page_that_the_echoes_shine_through_is_withheld(kind):
    clip = list(echoes(120, 160, frames=60))
    clip = clip[:1] * 60 if kind == "frozen" else clip
    page = report(np.zeros_like(clip[0]), paper=250, ink=200)
    for index in (40, 41):
        clip[index] = cv2.addWeighted(page, 0.5, clip[index], 0.5, 0)
    assert withheld(clip) == [40, 41]


def test_several_screens_and_names_in_one_cine_are_all_withheld():
    clip = put(echoes(), [4], report)
    clip = put(clip, [20, 21], still)
    clip = put(clip, [22], lambda frame: report(frame, 245, 10))
    clip = put(clip, [40], named)
    clip = put(clip, [50, 51, 52], lambda frame: named(frame, "KIM 4711", (0.4, 0.5)))
    assert withheld(clip) == [4, 20, 21, 22, 40, 50, 51, 52]


@pytest.mark.parametrize(("frames", "run"), [(300, 9), (160, 40)])
def test_long_runs_between_the_frames_that_are_looked_at_are_withheld(frames, run):
    clip = echoes(frames=frames)
    places = list(range(100, 100 + run))
    assert withheld(put(clip, places, report)) == places
    assert withheld(put(clip, places, named)) == places


def test_a_cine_as_it_is_filmed_is_not_withheld():
    for kind in ("sliding", "new"):
        for size in SIZES[:2]:
            assert withheld(echoes(*size, kind=kind)) == []


def test_a_probe_that_is_lifted_is_not_withheld():
    clip = [frame.copy() for frame in echoes()]
    dark = clip[0] // 12
    dark[20:40] = clip[0][20:40]  # reverberation in the near field
    for place in range(25, 33):
        clip[place] = dark
    assert withheld(clip) == []


def test_gain_depth_freeze_and_cuts_are_not_withheld():
    clip = echoes()
    other = echoes(seed=5)
    louder = np.clip(clip[30:] * 1.5, 0, 255).astype(np.uint8)
    assert withheld([*clip[:30], *louder]) == []
    deeper = [cv2.resize(f[:180, 40:280], (320, 240)) for f in clip[20:]]
    assert withheld([*clip[:20], *deeper]) == []
    assert withheld([*clip[:40], *[clip[40]] * 30]) == []
    assert withheld([*clip[:25], *other[:35]]) == []


def test_a_fast_movement_of_the_probe_is_not_withheld():
    clip = [frame.copy() for frame in echoes(seed=2)]
    light = cv2.GaussianBlur(np.eye(240, 320, dtype=np.float32), (0, 0), 30)
    light = 0.3 + 1.7 * light / light.max()
    for place in range(20, 40):
        part = np.sin((place - 20) / 20 * np.pi)
        frame = clip[place] * (1 - part + part * light)
        clip[place] = np.clip(frame, 0, 255).astype(np.uint8)
    assert withheld(clip) == []


def test_colour_doppler_that_comes_on_is_not_withheld():
    rng = np.random.default_rng(3)
    clip = np.repeat(echoes(480, 640)[..., None], 3, axis=3).copy()
    for place in range(30, 60):
        noise = cv2.GaussianBlur(rng.normal(size=(120, 140)), (0, 0), 8)
        flow = noise > 0.02 * np.sin(place / 4)
        clip[place, 200:320, 250:390][flow] = (200, 60, 20)
    for grey in ("luminance", "none"):
        plan = plan_cleaning(Made(clip), CleanSettings(size=0, grey=grey))
        assert plan.watched.withheld == ()


def test_an_m_mode_sweep_is_not_withheld():
    rng = np.random.default_rng(1)
    trace = cv2.GaussianBlur(rng.rayleigh(50, (240, 320)), (0, 0), 1.2)
    clip = np.zeros((60, 240, 320), np.uint8)
    for place in range(60):
        shown = np.roll(trace, 5 * place, axis=1)
        shown[:, (5 * place + 5) % 320] = 255
        shown[:, (5 * place + 6) % 320 :][:, :4] = 0
        clip[place] = np.clip(shown, 0, 255)
    assert withheld(clip, np.ones((240, 320), bool)) == []


def test_black_frames_are_listed_and_not_withheld():
    found = watched(put(echoes(), [7, 8, 59], np.zeros_like))
    assert found.black == (8, 9, 60) and found.withheld == () and found.review == ()
    faint = put(echoes(), [7], lambda f: named(np.zeros_like(f), grey=60))
    assert withheld(faint) == [7]


@pytest.mark.parametrize("label", [False, True], ids=["all black", "label outside"])
@pytest.mark.parametrize("place", [0, 1, 30, 57], ids=["first", "2nd", "mid", "end"])
@pytest.mark.parametrize("shown", ["screen", "name"])
def test_what_stands_beside_black_frames_is_withheld(shown, place, label):
    """A damaged frame is black, and so is a screen that changes."""
    if shown == "name" and label:
        pytest.skip("over echoes that begin anew there is nothing to tell it by")
    clip = echoes().copy()
    for index in (place, place + 1):
        empty = np.zeros_like(clip[0])
        clip[index] = named(clip[index] if shown == "name" else empty)
    beside = {place - 1, place + 2} & set(range(len(clip)))
    clip[sorted(beside)] = 0
    if label:
        clip = np.stack([named(frame, "US 7", (0.01, 0.06)) for frame in clip])
    clip = [lossy(frame) for frame in clip]
    assert withheld(clip, fan(240, 320)) == [place, place + 1]


def test_what_a_film_leaves_in_a_black_frame_is_black_but_faint_letters_are_not():
    clip = list(echoes(frames=40))
    ghost = np.zeros_like(clip[0])
    ghost[::2, ::2] = 8
    clip[20] = ghost
    clip[30] = named(np.zeros_like(clip[0]), "KIM", tall=0.035, grey=70)
    seen = watched(clip)
    assert seen.black == (21,)
    assert [one.frame for one in seen.withheld] == [31]


def test_another_scene_is_said_and_not_withheld_but_its_names_are():
    clip = [*echoes()[:36], *[still(echoes()[0])] * 24]
    found = watched(clip)
    assert found.withheld == ()
    clip = put(clip, [50], named)
    assert withheld(clip) == [50]


def test_marks_that_most_frames_show_are_said_and_not_withheld():
    found = watched(put(echoes(), range(20, 60), named))
    assert found.withheld == () and "40 frames show marks" in " ".join(found.review)


def test_what_changes_outside_the_fan_is_not_withheld():
    clip = [frame.copy() for frame in echoes(480, 640)]
    for place, frame in enumerate(clip):
        cv2.putText(frame, f"{place * 37:05d}", (5, 20), 0, 0.6, 230, 1)
        if place % 9 == 0:
            cv2.putText(frame, "REC", (560, 20), 0, 0.6, 230, 2)
    assert withheld(clip) == []


@pytest.mark.parametrize("grey", (255, 200, 0))
@pytest.mark.parametrize("frames", (2, 3, 5, 9))
def test_a_name_in_a_cine_of_few_frames_is_withheld(frames, grey):
    clip = [frame.copy() for frame in echoes(frames=frames)]
    bright = [cv2.add(frame, 60 * fan(240, 320).astype(np.uint8)) for frame in clip]
    clip = clip if grey else bright
    clip[1] = named(clip[1], tall=0.05, text="Doe, Jane", grey=grey)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 75]
    coded = [cv2.imencode(".jpg", frame, quality)[1] for frame in clip]
    seen = watched([cv2.imdecode(one, cv2.IMREAD_GRAYSCALE) for one in coded])
    assert [one.frame for one in seen.withheld] == [2]


def test_a_name_in_most_of_few_frames_is_said():
    clip = [named(frame, tall=0.05, text="Doe, Jane") for frame in echoes(frames=5)]
    clip[2:3] = echoes(frames=5)[2:3]
    seen = watched(clip)
    assert not seen.withheld
    assert "marks that the others do not have" in seen.review[0]
    assert "1-2, 4-5" in seen.review[0]


def test_a_single_picture_is_not_judged():
    assert watched([report(echoes()[0])]).withheld == ()
    assert FrameWatch().judge(None).withheld == ()


def test_frames_that_are_withheld_are_written_black_in_their_place():
    clip = echoes(frames=120)
    looked_at = spread_out(120, 32)
    hidden = [n for n in range(120) if n not in looked_at][20:22]
    seen = [int(looked_at[9])]
    for places in (hidden, seen):
        made = Made(np.stack(put(clip, places, lambda f: named(np.zeros_like(f)))))
        plan = plan_cleaning(made, CleanSettings(size=96))
        frames = list(prepare_frames(made, CleanSettings(size=96), cleaning=plan))
        assert len(frames) == 120
        assert [n for n, frame in enumerate(frames) if not frame.any()] == places
        assert plan.to_json()["withheld_frames"] == [
            {"frame": n + 1, "reason": one.reason}
            for n, one in zip(places, plan.watched.withheld, strict=True)
        ]
        assert f"withheld: {listed([n + 1 for n in places])}" in " ".join(plan.review)


def test_a_frame_that_appears_later_is_refused():
    made = Made(echoes(frames=20))
    plan = plan_cleaning(made, CleanSettings())
    more = Made(echoes(frames=20))
    more.clip = echoes(frames=24)
    with pytest.raises(InputError, match="frame 21"):
        list(prepare_frames(more, CleanSettings(), cleaning=plan))


def test_numbers_are_listed_as_stretches():
    assert listed([3, 7, 8, 9]) == "3, 7-9"
    assert listed(range(1, 40, 2)) == "1, 3, 5, 7, 9, 11, …"
