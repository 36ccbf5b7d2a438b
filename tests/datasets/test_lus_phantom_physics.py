"""What a physicist and a sonographer would check of the simulated echoes."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from ultrasound_jax.datasets.lus_phantom import anatomy, patterns
from ultrasound_jax.datasets.lus_phantom.cine import Cine
from ultrasound_jax.datasets.lus_phantom.patients import (
    Findings,
    Patient,
    draw_patient,
)
from ultrasound_jax.datasets.lus_phantom.probe import Probe, ScanConverter
from ultrasound_jax.datasets.lus_phantom.scene import Scene
from ultrasound_jax.datasets.lus_phantom.speckle import (
    PointSpread,
    evolve,
    scatterers,
)

PROBE = Probe(
    radius_mm=50.0,
    opening_deg=60.0,
    depth_mm=120.0,
    frequency_mhz=3.5,
    focus_mm=60.0,
)
PLEURA_MM = 22.0
STILL = anatomy.Motion(0.3, 0.0, 0.0, 0.0, 1.2, 0.0)
BREATHING = replace(STILL, slide_mm=10.0, lift_mm=2.0)
BREATH_IN = anatomy.INSPIRATION / 0.3  # seconds to the end of inspiration


def patient() -> Patient:
    return replace(
        draw_patient(0, 0),
        probe=PROBE,
        pleura_mm=PLEURA_MM,
        gain_db=0.0,
        dynamic_range_db=60.0,
        noise_db=-40.0,
        tgc_db=(0.0, 0.0),
    )


def scene(**parts) -> Scene:
    """A flat view without ribs, findings or motion unless `parts` says otherwise."""
    plain = Scene(
        motion=STILL,
        pleura=anatomy.Pleura(PLEURA_MM, flatness=0.0, tilt_rad=0.0),
        ribs=anatomy.Ribs.none(),
        a_lines=None,
        b_lines=None,
        consolidation=None,
        effusion=None,
        haze_db=-12.0,
        haze_loss_db_per_cm=1.0,
        roughness_mm=0.0,
        contact=np.ones(PROBE.beams, np.float32),
    )
    return replace(plain, **parts)


def cine(**parts) -> Cine:
    return Cine(np.random.default_rng(5), patient(), scene(**parts))


def envelope(film: Cine, seconds: float = 0.0) -> np.ndarray:
    return np.hypot(*np.moveaxis(film.echo(seconds), -1, 0))


def a_lines() -> patterns.ALines:
    return patterns.ALines(level_db=16.0, loss_db=3.0, spread_rad=0.2)


def one_b_line() -> patterns.BLines:
    drawn = patterns.BLines.draw(np.random.default_rng(1), PROBE, 1, False, False)
    return replace(
        drawn,
        centre_rad=np.zeros(1, np.float32),
        width_rad=np.full(1, 1.5 * PROBE.beam_rad, np.float32),
        level=np.full(1, 2.5, np.float32),
    )


def fluid() -> patterns.Effusion:
    return patterns.Effusion(np.full(PROBE.beams, 25.0, np.float32), swing=0.3)


def solid() -> patterns.Consolidation:
    thickness = np.full(PROBE.beams + 2 * patterns.MARGIN, 30.0, np.float32)
    return patterns.Consolidation(thickness, level_db=0.0)


def rows(low_mm: float, high_mm: float) -> slice:
    return slice(int(low_mm / PROBE.sample_mm), int(high_mm / PROBE.sample_mm))


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def speckle(film: Cine, seconds: float, where: slice) -> np.ndarray:
    """The grain alone: what is the same on all beams of a depth is divided out."""
    level = envelope(film, seconds)[where]
    return level / level.mean(axis=1, keepdims=True)


def test_fully_developed_speckle_has_the_rayleigh_signal_to_noise_ratio():
    rng = np.random.default_rng(0)
    spot = PointSpread(PROBE)
    values = []
    for _ in range(6):
        field = scatterers(rng, PROBE.samples, PROBE.beams) * spot.diffuse_gain
        values.append(np.hypot(*np.moveaxis(spot(field), -1, 0))[8:-8, 8:-8])
    level = np.stack(values)
    # About 6 x 5000 independent cells: the ratio's standard error is below 0.02.
    assert level.mean() / level.std() == pytest.approx(1.913, abs=0.06)
    assert np.mean(level**2) == pytest.approx(1.0, abs=0.05)


def test_the_speckle_is_short_along_the_beam_and_wide_across_it_in_the_far_field():
    rng = np.random.default_rng(0)
    spot = PointSpread(PROBE)
    field = spot(scatterers(rng, PROBE.samples, PROBE.beams) * spot.diffuse_gain)
    lag = 2.0  # mm in both directions

    def similarity(block: np.ndarray, down: int, along: int) -> float:
        moved = block[down:, along:]
        kept = block[: len(block) - down, : block.shape[1] - along]
        return float(np.abs(np.vdot(kept, moved)) / np.vdot(kept, kept).real)

    deep = field[rows(100, 118)][..., 0] + 1j * field[rows(100, 118)][..., 1]
    beams = round(lag / ((PROBE.radius_mm + 110) * PROBE.beam_rad))
    assert similarity(deep, 0, beams) > 2 * similarity(
        deep, round(lag / PROBE.sample_mm), 0
    )
    widths = spot.lateral_beams * (PROBE.radius_mm + PROBE.depths)
    focus = np.argmin(np.abs(PROBE.depths - PROBE.focus_mm))
    assert widths[focus] < widths[-1]


def test_replaced_scatterers_keep_their_power_and_lose_their_likeness():
    rng = np.random.default_rng(0)
    first, second = scatterers(rng, 200, 200), scatterers(rng, 200, 200)
    half = evolve(first, second, np.pi / 3)
    assert correlation(first, half) == pytest.approx(0.5, abs=0.03)
    assert np.mean(half**2) == pytest.approx(np.mean(first**2), rel=0.03)


def test_a_lines_lie_at_whole_multiples_of_the_pleural_depth():
    profile = envelope(cine(a_lines=a_lines())).mean(axis=1)
    for bounce in (2, 3, 4, 5):
        around = rows((bounce - 0.4) * PLEURA_MM, (bounce + 0.4) * PLEURA_MM)
        peak = around.start + int(np.argmax(profile[around]))
        # The grid is 0.3 mm; half a sample on either side.
        assert PROBE.depths[peak] == pytest.approx(bounce * PLEURA_MM, abs=0.35)


def test_a_lines_follow_the_pleura_when_breathing_lifts_it():
    film = cine(a_lines=a_lines(), motion=BREATHING)

    def depth_of(low: float, high: float, seconds: float) -> float:
        profile = envelope(film, seconds).mean(axis=1)[rows(low, high)]
        return float(PROBE.depths[rows(low, high)][np.argmax(profile)])

    wall = depth_of(15, 30, BREATH_IN) - depth_of(15, 30, 0.0)
    line = depth_of(36, 54, BREATH_IN) - depth_of(36, 54, 0.0)
    assert wall == pytest.approx(2.0, abs=0.4)
    assert line == pytest.approx(2 * wall, abs=0.7)


def test_a_b_line_runs_undiminished_to_the_bottom_and_erases_the_a_lines():
    film = cine(a_lines=a_lines(), b_lines=one_b_line())
    level = envelope(film)
    centre = slice(PROBE.beams // 2 - 1, PROBE.beams // 2 + 1)
    side = slice(PROBE.beams // 2 - 30, PROBE.beams // 2 - 15)
    near, far = level[rows(25, 60), centre], level[rows(85, 118), centre]
    assert far.mean() > 0.7 * near.mean()
    assert far.mean() > 3 * level[rows(100, 107), side].mean()
    at = film.geometry(0.0)
    assert at.a_strength[PROBE.beams // 2] < 0.05 * at.a_strength[side].mean()


def test_a_b_line_moves_with_the_sliding_lung():
    film = cine(b_lines=one_b_line(), motion=BREATHING)
    start, end = (
        int(np.argmax(envelope(film, t)[rows(40, 110)].mean(axis=0)))
        for t in (0.0, BREATH_IN)
    )
    moved = (end - start) * PROBE.beam_rad * (PROBE.radius_mm + PLEURA_MM)
    assert moved == pytest.approx(10.0, abs=1.0)


def test_fluid_is_anechoic_and_the_lung_line_nears_in_inspiration():
    film = cine(effusion=fluid(), motion=replace(STILL, slide_mm=4.0))
    level = envelope(film)
    inside, wall = level[rows(26, 43)].mean(), level[rows(8, 18)].mean()
    assert 20 * np.log10(inside / wall) < -30
    lung = [
        PROBE.depths[rows(33, 55)][
            np.argmax(envelope(film, t).mean(axis=1)[rows(33, 55)])
        ]
        for t in (0.0, BREATH_IN)
    ]
    assert lung[0] == pytest.approx(PLEURA_MM + 25, abs=0.5)
    assert lung[1] == pytest.approx(PLEURA_MM + 25 * 0.7, abs=0.5)


def test_consolidated_lung_echoes_like_tissue_and_has_no_a_lines():
    film = cine(a_lines=a_lines(), consolidation=solid())
    level = envelope(film)
    inside, below = level[rows(26, 48)], level[rows(75, 110)]
    assert 20 * np.log10(inside.mean() / below.mean()) > 8
    assert film.geometry(0.0).a_strength.max() == 0


def test_bone_shines_and_leaves_a_shadow():
    ribs = anatomy.Ribs(
        np.zeros(1, np.float32), np.full(1, 0.08, np.float32), np.full(1, 14, "f4")
    )
    level = envelope(cine(ribs=ribs))
    middle, side = PROBE.beams // 2, PROBE.beams // 2 + 40
    assert level[rows(13, 16), middle].max() > 5
    behind = level[rows(24, 60), middle - 2 : middle + 3].mean()
    assert 20 * np.log10(behind / level[rows(24, 60), side].mean()) < -25


def test_speckle_of_the_wall_outlasts_that_of_the_sliding_lung():
    film = cine(motion=BREATHING)

    def likeness(where: slice) -> list[float]:
        first, *others = (speckle(film, t, where) for t in (0.5, 0.6, 0.9))
        return [correlation(first, other) for other in others]

    wall, lung = likeness(rows(6, 18)), likeness(rows(30, 90))
    assert wall[0] > 0.8
    assert wall[0] > wall[1] > 0.3
    assert max(np.abs(lung)) < 0.3


def test_resting_lung_is_neither_frozen_nor_fresh_noise_in_every_frame():
    film = cine()
    first, soon, later = (speckle(film, t, rows(30, 90)) for t in (0.0, 0.1, 0.8))
    assert 0.5 < correlation(first, soon) < 0.95
    # Scatterers keep their strength, only their phases drift, so a little stays alike.
    assert abs(correlation(first, later)) < 0.25


def test_the_fan_has_its_true_shape_and_its_corners_are_black():
    converter = ScanConverter(PROBE, 256)
    picture = converter(np.full((PROBE.samples, PROBE.beams), 200, np.uint8))
    assert picture[0, 0] == picture[-1, 0] == picture[0, -1] == picture[-1, -1] == 0
    down = np.flatnonzero(picture[:, 128])
    assert len(down) * converter.pixel_mm == pytest.approx(PROBE.depth_mm, abs=1.5)
    across = np.flatnonzero(picture.max(axis=0))
    assert len(across) * converter.pixel_mm == pytest.approx(170.0, abs=1.5)


def test_a_point_keeps_its_place_at_every_frame_size():
    polar = np.zeros((PROBE.samples, PROBE.beams), np.uint8)
    cv2.circle(polar, (90, 200), 8, 255, -1)
    places = []
    for size in (64, 100, 256):
        picture = ScanConverter(PROBE, size)(polar).astype(float)
        y, x = np.indices(picture.shape)
        total = picture.sum()
        places.append(
            (
                (x + 0.5).ravel() @ picture.ravel() / total / size,
                (y + 0.5).ravel() @ picture.ravel() / total / size,
            )
        )
    np.testing.assert_allclose(places[0], places[2], atol=0.004)
    np.testing.assert_allclose(places[1], places[2], atol=0.004)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({}, (0, 0, 0, 0)),
        ({"a_lines": a_lines()}, (1, 0, 0, 0)),
        ({"b_lines": one_b_line()}, (0, 1, 0, 0)),
        ({"consolidation": solid(), "a_lines": a_lines()}, (0, 0, 1, 0)),
        ({"effusion": fluid(), "a_lines": a_lines()}, (0, 0, 0, 1)),
    ],
)
def test_the_truth_names_what_the_frame_shows(parts, expected):
    assert tuple(cine(**parts).visible(0.0)) == expected


def test_a_lines_that_drown_in_haze_are_not_called_visible():
    drowned = replace(a_lines(), level_db=-10.0)
    assert cine(a_lines=drowned).visible(0.0)[0] == 0


def test_respiratory_b_lines_come_and_go_with_the_breath():
    comet = replace(one_b_line(), respiratory=True, threshold=0.5)
    film = cine(b_lines=comet, motion=BREATHING)
    assert [film.visible(t)[1] for t in (0.0, BREATH_IN)] == [0, 1]
    columns = [envelope(film, t)[rows(60, 110)].max(axis=0) for t in (0.0, BREATH_IN)]
    assert columns[1].max() > 2 * columns[0].max()


def test_a_b_line_behind_a_rib_is_not_called_visible():
    ribs = anatomy.Ribs(
        np.zeros(1, np.float32), np.full(1, 0.08, np.float32), np.full(1, 14, "f4")
    )
    assert cine(b_lines=one_b_line(), ribs=ribs).visible(0.0)[1] == 0


def test_findings_are_named_in_the_order_of_the_classes():
    assert Findings(consolidation=True) == Findings(False, False, True, False)
