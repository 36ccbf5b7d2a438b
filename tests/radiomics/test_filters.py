import numpy as np
import pytest

from tests.radiomics.made import ellipse, speckled
from ultrasound_jax.radiomics import Settings, extract
from ultrasound_jax.radiomics.filters import filtered, laplacian_of_gaussian
from ultrasound_jax.radiomics.wavelet import BANDS, HIGH, LOW, coif1

IMAGE = speckled(7, 31, 40).astype(float)


def images(image=IMAGE, **options):
    return dict(filtered(image, **options))


def test_value_filters_keep_the_largest_value():
    for name in ("square", "squareroot", "logarithm", "exponential"):
        assert images()[name].max() == pytest.approx(IMAGE.max())


def test_value_filters_are_their_formulas():
    largest, found = IMAGE.max(), images()
    np.testing.assert_allclose(found["square"], IMAGE**2 / largest)
    np.testing.assert_allclose(found["squareroot"], np.sqrt(IMAGE * largest))
    scale = largest / np.log(largest + 1)
    np.testing.assert_allclose(found["logarithm"], scale * np.log(IMAGE + 1))
    np.testing.assert_allclose(found["exponential"], largest ** (IMAGE / largest))


def test_negative_values_keep_their_sign_but_for_squares():
    found = images(-IMAGE)
    np.testing.assert_allclose(found["squareroot"], -images()["squareroot"])
    np.testing.assert_allclose(found["logarithm"], -images()["logarithm"])
    np.testing.assert_allclose(found["square"], images()["square"])


def test_a_slope_has_its_gradient_and_half_of_it_at_the_border():
    y, x = np.mgrid[:9, :11].astype(float)
    found = images(3 * x + 4 * y + 1)["gradient"]
    np.testing.assert_allclose(found[1:-1, 1:-1], 5)
    assert found[4, 0] == pytest.approx(np.hypot(1.5, 4), rel=1e-6)


def test_the_wavelet_is_the_first_coiflet():
    root = np.sqrt(7)
    weights = [root - 3, 1 - root, 14 - 2 * root, 14 + 2 * root, 5 + root, 1 - root]
    np.testing.assert_allclose(LOW, np.array(weights) / (16 * np.sqrt(2)), atol=2e-16)
    assert sum(LOW) == pytest.approx(np.sqrt(2))
    assert np.dot(LOW, LOW) == pytest.approx(1)
    assert np.dot(LOW, HIGH) == pytest.approx(0, abs=1e-15)
    for power in (0, 1):  # two vanishing moments
        assert np.dot(HIGH, np.arange(6.0) ** power) == pytest.approx(0, abs=1e-14)


def test_the_wavelet_is_that_of_pywavelets():
    pywt = pytest.importorskip("pywt")
    even = np.pad(IMAGE, ((0, 1), (0, 0)), mode="wrap")
    theirs = pywt.swtn(even, "coif1", level=1, axes=(1, 0))[0]
    ours = coif1(IMAGE)
    for band in BANDS:
        expected = theirs[band.replace("L", "a").replace("H", "d")][:-1]
        np.testing.assert_allclose(ours[band], expected, atol=1e-12)
        # Bit for bit where nothing goes round the edge, or bins would differ there.
        inner = np.s_[6:-6, 6:-6]
        np.testing.assert_array_equal(ours[band][inner], expected[inner])


def test_the_first_letter_of_a_band_is_of_columns():
    stripes = np.tile([0.0, 100.0], (16, 8))
    found = coif1(stripes)
    assert np.abs(found["HL"]).max() > 100
    assert np.abs(found["LH"]).max() < 1e-12


def test_a_laplacian_of_gaussian_is_asked_for():
    assert not any(name.startswith("log-") for name in images())
    found = images(images=(), log_sigmas=(2.0, 1.5))
    assert list(found) == ["log-sigma-2-0-mm-2D", "log-sigma-1-5-mm-2D"]


def test_a_laplacian_of_gaussian_is_greatest_for_a_blob_of_its_size():
    y, x = np.mgrid[:65, :65] - 32.0
    blob = np.exp(-(x**2 + y**2) / (2 * 4.0**2))
    middle = [laplacian_of_gaussian(blob, s)[32, 32] for s in (2.0, 4.0, 8.0)]
    assert np.argmin(middle) == 1  # a bright blob is a minimum
    # Of a Gaussian smoothed by one of its width: -2 σ² σ² / (2σ²)².
    assert middle[1] == pytest.approx(-0.5, abs=0.005)


def test_only_the_images_that_are_asked_for_are_measured():
    settings = Settings(images=("gradient", "original"), log_sigmas=(3.0,))
    mask = ellipse(31, 40, 15, 20, 9, 7)
    found = extract(IMAGE, mask, settings)
    seen = list(dict.fromkeys(name.split("_")[0] for name in found))
    assert seen == ["original", "gradient", "log-sigma-3-0-mm-2D"]
    assert len(found) == 9 + 3 * 93
