"""What one reads off the figures: axes, numbers and words, before they are drawn."""

from pathlib import Path

import numpy as np
import pytest

from tests.explain import small
from ultrasound_jax.explain.draw import annotated_video, curves, page, strips
from ultrasound_jax.explain.draw.style import told_apart
from ultrasound_jax.explain.see.frame_weights import (
    ATTENTION,
    ROLLOUT,
    SCORES,
    FrameWeights,
    axis_range,
)
from ultrasound_jax.explain.see.views import shows_where

COMMON = {"title": "", "classes": small.CLASSES, "chosen": (0, 1), "first": 49}
JUDGED = {"scores": np.full(4, 0.5), "labels": np.ones(4), "marks": None}


@pytest.fixture
def figures(monkeypatch):
    """The figures that are made, instead of files."""
    made = []

    def keep(figure, path=None):
        figure.canvas.draw()
        made.append(figure)
        return [] if path else np.zeros((2, 2, 3), np.uint8)

    for room in (curves, strips):
        monkeypatch.setattr(room, "save", keep)
    monkeypatch.setattr(annotated_video, "pixels", keep)
    return made


def film(frames):
    return np.zeros((frames, small.SIZE, small.SIZE), np.uint8)


def attention(frames, noise=0.0, kind=ATTENTION):
    heads = 1 + noise * np.random.default_rng(0).standard_normal((4, 2, frames))
    return FrameWeights(kind, heads if kind == ATTENTION else heads[:, :1])


def draw_curves(weights):
    more = {"frame_rate": 10.0, "top": 3}
    curves.write_curves(Path("here"), weights, **COMMON, **JUDGED, **more)


def ticks(axis):
    low, high = sorted(axis.get_view_interval())
    labels = [t.get_text() for t in axis.get_ticklabels()]
    places = axis.get_ticklocs()
    return [t for t, at in zip(labels, places, strict=True) if low <= at <= high]


def test_an_axis_shows_five_percent_around_uniform_and_all_values():
    assert axis_range(ATTENTION, np.array([0.9999, 1.0001])) == (0.95, 1.05)
    assert axis_range(ROLLOUT, np.array([1.0, np.nan])) == (0.95, 1.05)
    assert axis_range(ATTENTION, np.array([0.2, 3.0])) == (0.2, 3.0)


def test_an_axis_of_scores_shows_a_tenth_and_nothing_that_no_score_can_be():
    assert axis_range(SCORES, np.array([0.5])) == pytest.approx((0.45, 0.55))
    assert axis_range(SCORES, np.array([0.001])) == pytest.approx((0.0, 0.1))
    assert axis_range(SCORES, np.array([1.0])) == pytest.approx((0.9, 1.0))


@pytest.mark.parametrize("noise", [0.0, 1e-7, 1e-4])
def test_attention_that_is_all_but_uniform_looks_so(noise, figures):
    draw_curves(attention(8, noise))
    for panel in figures[0].axes:
        low, high = panel.get_ylim()
        assert low < 0.95 and high > 1.05
        assert panel.yaxis.get_offset_text().get_text() == ""
        values = [float(text) for text in ticks(panel.yaxis)]
        assert 1.0 in values and min(values) >= 0.95 and max(values) <= 1.05


def test_the_videos_curves_and_colours_span_as_much(figures):
    weights = attention(8, 1e-4)
    next(annotated_video.attention_pictures(film(8), weights, **COMMON, **JUDGED))
    picture, *panels, bar = figures[0].axes
    for panel in (*panels, bar):
        low, high = panel.get_ylim()
        assert low <= 0.95 and high >= 1.05
        assert panel.yaxis.get_offset_text().get_text() == ""


def test_no_tick_is_where_no_value_can_be(figures):
    heads = np.zeros((4, 1, 5))
    heads[..., 0] = 5.0
    draw_curves(FrameWeights(ATTENTION, heads))
    values = [float(text) for text in ticks(figures[0].axes[0].yaxis)]
    assert min(values) == 0 and max(values) >= 4


def test_a_clip_of_one_frame_has_one_tick_and_curves_that_can_be_seen(figures):
    draw_curves(attention(1))
    panel = figures[0].axes[1]
    assert ticks(panel.xaxis) == ["49"]
    dashes = [line for line in panel.get_lines() if line.get_marker() == "_"]
    assert len([line for line in dashes if len(line.get_xdata())]) == 3  # 2 heads, mean


def test_a_frame_between_gaps_is_a_dash_and_others_are_not(figures):
    weights = attention(6)
    weights.heads[..., [1, 3]] = np.nan
    draw_curves(weights)
    panel = figures[0].axes[0]
    dashes = [line for line in panel.get_lines() if line.get_marker() == "_"]
    assert [list(line.get_xdata()) for line in dashes] == [[49, 51]] * 3


def test_numbers_have_as_many_decimals_as_tell_them_apart():
    assert told_apart([0.98, 0.15]) == ["0.98", "0.15"]
    assert told_apart([1.0002, 1.0001, 1.0]) == ["1.0002", "1.0001", "1.0000"]
    assert told_apart([1.0, 1.0]) == ["1.00", "1.00"]
    assert told_apart([1 + 1e-9, 1.0]) == ["1.00", "1.00"]


def strip(order, maps=None):
    strips.write_strip(
        Path("here"), film(order.shape[1]), order, top=3, maps=maps, **COMMON
    )


def said(figure):
    panels = [panel for panel in figure.axes if panel.get_label() != "<colorbar>"]
    words = [t.get_text() for panel in panels for t in panel.texts]
    return words, [panel.get_title() for panel in panels], panels[0].get_ylabel()


def test_a_strip_tells_its_frames_apart_or_says_that_they_are_alike(figures):
    order = np.ones((4, 5))
    order[1] = 1 + 1e-4 * np.arange(5)
    strip(order)
    _, titles, label = said(figures[0])
    assert titles[3:] == [
        "frame 53: 1.0004",
        "frame 52: 1.0003",
        "frame 51: 1.0002",
    ]
    assert label == "a line\nall frames alike"


def test_a_map_of_zeros_ranks_no_frames_but_says_that_nothing_speaks_for_it(figures):
    maps = np.random.default_rng(0).random((4, 5, small.SIZE, small.SIZE))
    maps[1] = 0
    strip(maps.max((2, 3)), maps)
    words, titles, _ = said(figures[0])
    assert words == ["b line: nothing speaks for it in any frame"]
    assert all(titles[:3]) and not any(titles[3:])


def test_a_map_of_zeros_is_told_of_where_attention_ranks_the_frames(figures):
    maps = np.zeros((4, 5, small.SIZE, small.SIZE))
    strip(1 + np.random.default_rng(0).random((4, 5)), maps)
    _, titles, label = said(figures[0])
    assert all(titles)
    assert label == "a line\nnothing speaks for it"


def test_a_map_of_zeros_is_told_of_in_the_video(figures):
    maps = np.ones((4, 2, small.SIZE, small.SIZE))
    maps[1] = 0
    scores = np.full(4, 0.5)
    next(
        annotated_video.map_pictures(
            film(2), maps, map_kind="", scores=scores, **COMMON
        )
    )
    titles = [panel.get_title() for panel in figures[0].axes[:2]]
    assert titles == ["a line: score 0.50", "b line: score 0.50, nothing speaks for it"]


@pytest.mark.parametrize(("cells", "fine"), [((1, 1), 0), ((2, 2), 0), ((4, 4), 1)])
def test_maps_of_few_cells_are_said_to_be_too_coarse(cells, fine):
    maps = np.ones((4, 3, *cells))
    assert shows_where(maps) == bool(fine)
    assert ("too coarse to show where" in page._grid("Grad-CAM", maps)) != bool(fine)
