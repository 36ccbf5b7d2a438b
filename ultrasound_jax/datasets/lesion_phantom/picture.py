"""One B-mode image: the echo of a section, what the machine makes of it, and the mask.

Scatterers with the tissue's levels are blurred by the machine's spot, weakened or
enhanced by what lies above them, mixed with noise, compounded, compressed to decibels
and shown in grey.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from ultrasound_jax.datasets.lesion_phantom.lesion import (
    View,
    draw_lesion,
    draw_view,
    made_clear,
    with_lesion,
)
from ultrasound_jax.datasets.lesion_phantom.patients import Patient, draw_patient
from ultrasound_jax.datasets.lesion_phantom.probe import LinearProbe
from ultrasound_jax.datasets.lesion_phantom.tissue import (
    Tissue,
    draw_tissue,
    profile,
)
from ultrasound_jax.datasets.lus_phantom.speckle import PointSpread, scatterers

WHITE_DB = 25.0  # the level that is shown white at 0 dB gain
NOISE_RISE_DB = 12.0  # of the receiver, from the surface to the lower edge
SHADOW_EDGE_MM = 0.5  # how soft a shadow's edge is, as a beam is no line
ALL_GLAND = 2.0  # a density that leaves no fat in the gland
LIFTED = 0.2  # of images in which the array lifts off the skin at one end


@dataclass(frozen=True)
class Picture:
    """What an image shows, before and after it is brought to its size.

    view: of the lesion, or None. image, mask: the square. pixel_mm: its pixels' side.
    """

    view: View | None
    image: UInt8[np.ndarray, "s s"]
    mask: UInt8[np.ndarray, "s s"]
    pixel_mm: float


def draw_picture(
    seed: int, patient: int, image: int, size: int, *, clear: bool = False
) -> Picture:
    """The image with these numbers; it depends on nothing else.

    All images of a patient show one lesion, in another section and at another place.
    With `clear` see `lesion.made_clear`; its gland has no dark fat in it.
    """
    person = draw_patient(seed, patient)
    lesion = draw_lesion(np.random.default_rng([seed, 13, patient]), person.kind)
    if clear:
        person = replace(person, body=replace(person.body, density=ALL_GLAND))
        lesion = lesion and made_clear(lesion)
    numbers = [seed, 14, patient, image]
    # A stream for each part: the breast is the same with and without its lesion.
    of_tissue, of_lesion, of_echo = (
        np.random.default_rng([*numbers, part]) for part in range(3)
    )
    probe = person.probe
    tissue, view = draw_tissue(of_tissue, probe, person.body), None
    mask = np.zeros((probe.samples, probe.beams), bool)
    if lesion is not None:
        view = draw_view(of_lesion, lesion, probe, person.body)
        tissue = with_lesion(of_lesion, tissue, view, probe)
        mask = view.inside(probe)
    beams = shown(of_echo, person, tissue, view)
    return Picture(
        view, probe.picture(beams, size), probe.mask(mask, size), probe.pixel_mm(size)
    )


def shown(
    rng: np.random.Generator, patient: Patient, tissue: Tissue, view: View | None = None
) -> UInt8[np.ndarray, "z beam"]:
    """The tissue in the grey of this patient's machine, along beams.

    The array never lifts off the skin above a lesion: that would hide it.
    """
    probe = patient.probe
    spot, passed = _spot(probe), transmission(tissue, probe)
    contact = _contact(rng, probe, view)
    rise = NOISE_RISE_DB * probe.depths[:, None] / probe.depth_mm
    noise_level = _amplitude(patient.noise_db + rise)
    power = np.zeros((probe.samples, probe.beams), np.float32)
    diffuse = _amplitude(tissue.level_db)[..., None] * spot.diffuse_gain
    for _ in range(patient.looks):
        field = diffuse * scatterers(rng, probe.samples, probe.beams)
        field[..., 0] += tissue.mirror
        echo = spot(field) * (passed * contact)[..., None]
        noise = rng.standard_normal(echo.shape, np.float32)
        echo += noise * noise_level[..., None]
        power += np.square(echo).sum(axis=-1)
    level = 10 * np.log10(power / patient.looks + 1e-9)
    knots = np.linspace(0, probe.depth_mm, len(patient.tgc_db))
    gain = patient.gain_db + rng.normal(0, 1.5)
    gain = gain + np.interp(probe.depths, knots, patient.tgc_db)[:, None]
    span = patient.dynamic_range_db
    grey = np.clip((level + gain - (WHITE_DB - span)) / span, 0, 1) ** patient.curve
    return (255 * grey + 0.5).astype(np.uint8)


def transmission(tissue: Tissue, probe: LinearProbe) -> Float[np.ndarray, "z beam"]:
    """The share of amplitude that comes back through what lies above each point."""
    loss = np.cumsum(tissue.loss_db_per_mm, axis=0) * np.float32(probe.sample_mm)
    sigma = SHADOW_EDGE_MM / probe.pitch_mm
    soft = cv2.GaussianBlur(loss, (0, 0), sigmaX=sigma, sigmaY=1e-3)
    return _amplitude(-soft)


@lru_cache(maxsize=8)
def _spot(probe: LinearProbe) -> PointSpread:
    """The machine's, which all images of a patient share."""
    return PointSpread(probe)


def _contact(
    rng: np.random.Generator, probe: LinearProbe, view: View | None
) -> np.ndarray:
    """Amplitude of each beam at the skin."""
    contact = _amplitude(profile(rng, probe, 0.6, 4.0))
    if rng.random() < LIFTED:
        edge = rng.uniform(1, 5)
        ramp = 1 / (1 + np.exp(-(probe.places + probe.width_mm / 2 - edge) / 0.6))
        left = rng.random() < 0.5 if view is None else view.place_mm > 0
        contact = contact * (ramp if left else ramp[::-1])
    return contact.astype(np.float32)


def _amplitude(level_db: np.ndarray) -> np.ndarray:
    return np.power(10.0, level_db / 20).astype(np.float32)
