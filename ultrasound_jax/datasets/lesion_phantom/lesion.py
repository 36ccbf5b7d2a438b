"""Two kinds of lesion, and what a section through one looks like.

Benign-like: oval, wider than tall, a smooth thin rim, even texture, enhancement behind
it. Malignant-like: taller than wide, spiculated, an echogenic halo in place of a rim,
specks of calcium, a shadow behind it. Some of either lack what lies behind, and some
breasts have shadows without a lesion, so that no single sign decides (Stavros et al.,
Radiology 1995).
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from ultrasound_jax.datasets.lesion_phantom.patients import Body
from ultrasound_jax.datasets.lesion_phantom.probe import LinearProbe
from ultrasound_jax.datasets.lesion_phantom.tissue import Tissue, field

CLEAR = 0.08  # of the picture's side, between its centre and any lesion
VISIBLE = 0.8  # of a lesion's outer half that is in the picture at least
WITHOUT_SIGN = 0.25  # of lesions that have neither shadow nor enhancement
# Of clear lesions: how much larger they are, the echo of benign ones and of others.
LARGER, ANECHOIC_DB, BRIGHT_DB = 1.25, -40.0, 12.0
_DIRECTIONS = 512


@dataclass(frozen=True)
class Lesion:
    """A patient's lesion, which each image cuts at another angle.

    half_mm: half width and half height. waves: cosine and sine of the outline's
    undulations, lowest first, as shares of the radius, of two sections at right angles.
    spicules: direction in radians, length as a share of the radius, sharpness.
    level_db, texture_db: of the echo in it. loss_db_per_mm: negative enhances what lies
    behind. blur_mm: of its border. rim_db, rim_mm: of what surrounds it; with `smooth`
    a thin rim, else a halo. edges_db_per_mm: loss of beams that graze it. specks: of
    calcium.
    """

    half_mm: tuple[float, float]
    tilt_rad: float
    waves: Float[np.ndarray, "2 wave 2"]
    spicules: Float[np.ndarray, "spicule 3"]
    level_db: float
    texture_db: float
    loss_db_per_mm: float
    blur_mm: float
    rim_db: float
    rim_mm: float
    smooth: bool
    edges_db_per_mm: float
    specks: int


@dataclass(frozen=True)
class View:
    """A section of a lesion in an image: where its centre lies, and its outline.

    `outline_mm` is the distance from the centre to the border in each of evenly spaced
    directions, the first along the array, the second quarter of them down.
    """

    lesion: Lesion
    place_mm: float
    depth_mm: float
    outline_mm: Float[np.ndarray, " direction"]

    def outside(self, probe: LinearProbe) -> Float[np.ndarray, "z beam"]:
        """Distance from the border in mm along the ray from the centre, inside < 0."""
        across = probe.places[None, :] - np.float32(self.place_mm)
        down = probe.depths[:, None] - np.float32(self.depth_mm)
        turn = np.arctan2(down, across) / (2 * np.pi) * len(self.outline_mm)
        border = np.interp(
            turn.ravel(),
            np.arange(len(self.outline_mm)),
            self.outline_mm,
            period=len(self.outline_mm),
        )
        return np.hypot(across, down) - border.reshape(turn.shape)

    def inside(self, probe: LinearProbe) -> Bool[np.ndarray, "z beam"]:
        """What of the grid is lesion."""
        return self.outside(probe) < 0


def draw_lesion(rng: np.random.Generator, kind: str) -> Lesion | None:
    """A lesion of this kind; None for a normal breast."""
    if kind == "normal":
        return None
    silent = rng.random() < WITHOUT_SIGN
    if kind == "benign":
        half = rng.uniform(4.5, 8.0)
        return Lesion(
            half_mm=(half, half * rng.uniform(0.5, 0.78)),
            tilt_rad=float(np.deg2rad(rng.uniform(-15, 15))),
            waves=_waves(rng, count=3, size=0.035),
            spicules=np.zeros((0, 3)),
            level_db=float(rng.uniform(-16, -9)),
            texture_db=float(rng.uniform(0.5, 1.2)),
            loss_db_per_mm=-float(
                rng.uniform(0, 0.1) if silent else rng.uniform(0.4, 1)
            ),
            blur_mm=0.08,
            rim_db=float(rng.uniform(5, 9)),
            rim_mm=0.22,
            smooth=True,
            edges_db_per_mm=float(rng.uniform(0.2, 1.0)),
            specks=0,
        )
    half = rng.uniform(4.0, 7.0)
    return Lesion(
        half_mm=(half / rng.uniform(1.15, 1.6), half),
        tilt_rad=float(np.deg2rad(rng.uniform(-18, 18))),
        waves=_waves(rng, count=7, size=0.09),
        spicules=_spicules(rng),
        level_db=float(rng.uniform(-20, -12)),
        texture_db=float(rng.uniform(1.5, 3.0)),
        loss_db_per_mm=float(rng.uniform(0, 0.3) if silent else rng.uniform(0.9, 2.4)),
        blur_mm=float(rng.uniform(0.15, 0.4)),
        rim_db=float(rng.uniform(2, 5)),
        rim_mm=float(rng.uniform(1.0, 2.2)),
        smooth=False,
        edges_db_per_mm=0.0,
        specks=int(rng.integers(0, 9)),
    )


def made_clear(lesion: Lesion) -> Lesion:
    """The same lesion, larger, and told by nothing but what is inside its border.

    There is no shadow and no enhancement, no rim and no halo; a smooth one is without
    echo, any other brighter than what is around it.
    """
    wide, tall = lesion.half_mm
    return replace(
        lesion,
        half_mm=(LARGER * wide, LARGER * tall),
        level_db=ANECHOIC_DB if lesion.smooth else BRIGHT_DB,
        loss_db_per_mm=0.0,
        edges_db_per_mm=0.0,
        rim_db=0.0,
        specks=0,
    )


def _waves(
    rng: np.random.Generator, *, count: int, size: float
) -> Float[np.ndarray, "2 wave 2"]:
    """Undulations from the second order on: the first would only move the outline."""
    orders = np.arange(2, 2 + count)[None, :, None]
    return rng.normal(0, size, (2, count, 2)) * (2 / orders) ** 0.5


def _spicules(rng: np.random.Generator) -> Float[np.ndarray, "spicule 3"]:
    count = int(rng.integers(7, 14))
    even = np.arange(count) * 2 * np.pi / count
    return np.stack(
        [
            even + rng.normal(0, 0.15, count),
            rng.uniform(0.12, 0.5, count),
            rng.uniform(60, 160, count),
        ],
        axis=1,
    )


def draw_view(
    rng: np.random.Generator, lesion: Lesion, probe: LinearProbe, body: Body
) -> View:
    """A section at a random angle, beside the picture's centre.

    Everything of it is further from the centre than `CLEAR` of the picture's side, as
    its nearest point across is; what lies in the middle shows no lesion.
    """
    outline = _outline(lesion, float(rng.uniform(0, np.pi)))
    turns = np.arange(_DIRECTIONS) * 2 * np.pi / _DIRECTIONS
    across, down = outline * np.cos(turns), outline * np.sin(turns)
    side = rng.choice([-1, 1])
    towards, away = (-side * across).max(), (side * across).max()
    # The picture's side is the longer of its two.
    nearest = CLEAR * max(probe.width_mm, probe.depth_mm) + towards
    furthest = probe.width_mm / 2 - VISIBLE * away
    place = rng.uniform(nearest, max(nearest, furthest))
    top = body.skin_mm + 0.7 * body.fat_mm - down.min()
    bottom = min(
        body.skin_mm + body.fat_mm + body.gland_mm - 0.7 * down.max(),
        probe.depth_mm - 7.0 - down.max(),
    )
    depth = rng.uniform(top, max(top, bottom))
    return View(lesion, float(side * place), float(depth), outline)


def _outline(lesion: Lesion, angle: float) -> Float[np.ndarray, " direction"]:
    """The border of the section at this angle, in each direction in mm."""
    turns = np.arange(_DIRECTIONS) * 2 * np.pi / _DIRECTIONS
    wide, tall = lesion.half_mm
    # Another section of an ellipsoid is a little larger or smaller.
    wide = wide * (1 + 0.12 * np.cos(2 * angle))
    own = turns - lesion.tilt_rad
    radius = wide * tall / np.hypot(tall * np.cos(own), wide * np.sin(own))
    waves = np.cos(angle) * lesion.waves[0] + np.sin(angle) * lesion.waves[1]
    share = np.ones_like(turns)
    for order, (cosine, sine) in enumerate(waves, start=2):
        share += cosine * np.cos(order * turns) + sine * np.sin(order * turns)
    for place, (direction, length, sharpness) in enumerate(lesion.spicules):
        # Each lies in a plane of its own, which a section meets more or less.
        met = abs(np.cos(angle + 2.4 * place))
        spike = np.exp(sharpness * (np.cos(turns - direction) - 1))
        share += length * (0.35 + 0.65 * met) * spike
    return radius * np.maximum(share, 0.3)


def with_lesion(
    rng: np.random.Generator, tissue: Tissue, view: View, probe: LinearProbe
) -> Tissue:
    """The tissue in which a lesion has grown."""
    lesion, outside = view.lesion, view.outside(probe)
    inside = 1 / (1 + np.exp(np.clip(outside / lesion.blur_mm, -30, 30)))
    level = lesion.level_db + lesion.texture_db * field(rng, probe, 0.7, 1.2)
    level = level + _specks(rng, view, probe)
    mixed = (1 - inside) * (tissue.level_db + _rim(rng, lesion, outside, probe))
    mixed = mixed + inside * level
    loss = (1 - inside) * tissue.loss_db_per_mm + inside * lesion.loss_db_per_mm
    # Beams that graze a smooth border are refracted away.
    grazing = np.abs(probe.places[None, :] - np.float32(view.place_mm))
    grazing = (grazing / np.abs(view.outline_mm * _cosines()).max()) ** 12
    along = np.exp(-0.5 * (outside / 0.5) ** 2) * np.minimum(grazing, 1)
    loss = loss + lesion.edges_db_per_mm * along
    return Tissue(
        mixed.astype(np.float32),
        (tissue.mirror * (1 - inside)).astype(np.float32),
        loss.astype(np.float32),
    )


def _cosines() -> Float[np.ndarray, " direction"]:
    return np.cos(np.arange(_DIRECTIONS) * 2 * np.pi / _DIRECTIONS)


def _rim(
    rng: np.random.Generator,
    lesion: Lesion,
    outside: Float[np.ndarray, "z beam"],
    probe: LinearProbe,
) -> Float[np.ndarray, "z beam"]:
    """What surrounds a lesion, in dB over its tissue: a thin rim, or an uneven halo."""
    if lesion.smooth:
        line = np.exp(-0.5 * ((outside - lesion.rim_mm) / lesion.rim_mm) ** 2)
        return lesion.rim_db * line
    uneven = np.clip(1 + 0.6 * field(rng, probe, 0.8, 1.5), 0, None)
    fading = np.exp(-np.maximum(outside, 0) / lesion.rim_mm)
    return lesion.rim_db * uneven * fading


def _specks(
    rng: np.random.Generator, view: View, probe: LinearProbe
) -> Float[np.ndarray, "z beam"]:
    """Specks of calcium, bright points in the inner part of the lesion."""
    level = np.zeros((probe.samples, probe.beams))
    for _ in range(view.lesion.specks):
        turn, share = rng.uniform(0, 2 * np.pi), 0.7 * rng.uniform() ** 0.5
        length = share * view.outline_mm[int(turn / (2 * np.pi) * _DIRECTIONS)]
        across = probe.places - (view.place_mm + length * np.cos(turn))
        down = probe.depths[:, None] - (view.depth_mm + length * np.sin(turn))
        size = rng.uniform(0.12, 0.25)
        level += rng.uniform(14, 24) * np.exp(
            -0.5 * ((across / size) ** 2 + (down / size) ** 2)
        )
    return level
