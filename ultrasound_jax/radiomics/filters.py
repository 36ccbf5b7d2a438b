"""The images that features are measured on: the original and what filters make of it.

Names and formulas are pyradiomics' (`imageoperations`); a filter sees the whole image,
not the region alone. Values are rescaled to the range of the original by its largest
absolute value m.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from ultrasound_jax.radiomics.errors import RadiomicsError
from ultrasound_jax.radiomics.wavelet import coif1

Image = Float[np.ndarray, "h w"]


def _square(image: Image) -> Image:
    """(x / √m)²."""
    return (image * (1 / np.sqrt(_largest(image)))) ** 2


def _square_root(image: Image) -> Image:
    """√(m abs(x)), with the sign of x."""
    return np.sign(image) * np.sqrt(np.abs(image) * _largest(image))


def _logarithm(image: Image) -> Image:
    """log(abs(x) + 1), with the sign of x, so scaled that the largest is m."""
    found = np.sign(image) * np.log(np.abs(image) + 1)
    return found * (_largest(image) / _largest(found))


def _exponential(image: Image) -> Image:
    """exp(x log(m) / m)."""
    largest = _largest(image)
    return np.exp(np.log(largest) / largest * image)


def _gradient(image: Image) -> Image:
    """The length of the gradient by central differences; beyond the edge, the edge's.

    In single precision, as ITK's filter gives it for whole numbers.
    """
    edged = np.pad(image, 1, mode="edge")
    down = (edged[2:, 1:-1] - edged[:-2, 1:-1]) / 2
    right = (edged[1:-1, 2:] - edged[1:-1, :-2]) / 2
    return np.sqrt(right**2 + down**2).astype(np.float32).astype(np.float64)


def _largest(image: Image) -> float:
    return float(np.abs(image).max())


_OF_VALUES: dict[str, Callable[[Image], Image]] = {
    "square": _square,
    "squareroot": _square_root,
    "logarithm": _logarithm,
    "exponential": _exponential,
    "gradient": _gradient,
}
WAVELET = "wavelet"
# In the order of the features.
IMAGES = ("original", *_OF_VALUES, WAVELET)


def laplacian_of_gaussian(image: Image, sigma: float) -> Image:
    """The Laplacian of the image smoothed by a Gaussian of `sigma` pixels, times σ².

    pyradiomics has it in 3-D only, by ITK's recursive approximation, and gives nothing
    for a single slice; this is the two-dimensional one, by convolution.
    """
    return sigma**2 * ndimage.gaussian_laplace(image, sigma, mode="nearest")


def filtered(
    image: Image, images: Sequence[str] = IMAGES, log_sigmas: Sequence[float] = ()
) -> Iterator[tuple[str, Image]]:
    """The names of images and the images.

    Args:
        image: finite values.
        images: of `IMAGES`; the wavelet's are four.
        log_sigmas: also a Laplacian of Gaussian of each, in pixels.

    Raises:
        RadiomicsError: an image of zeros, for which most are not defined, a filter
            that there is not, or a sigma that is no positive number.
    """
    if unknown := [name for name in images if name not in IMAGES]:
        raise RadiomicsError(
            f"no image is called {unknown[0]!r}; there are {', '.join(IMAGES)}"
        )
    if wrong := [sigma for sigma in log_sigmas if not 0 < sigma < np.inf]:
        raise RadiomicsError(f"sigma {wrong[0]} of LoG; allowed are numbers above 0")
    if not image.any():
        raise RadiomicsError("the image is 0 everywhere; its filters are not defined")
    for name in (name for name in IMAGES if name in images):
        if name == "original":
            yield name, image
        elif name == WAVELET:
            for band, found in coif1(image).items():
                yield f"{WAVELET}-{band}", found
        else:
            yield name, _OF_VALUES[name](image)
    for sigma in log_sigmas:
        told = str(float(sigma)).replace(".", "-")
        yield f"log-sigma-{told}-mm-2D", laplacian_of_gaussian(image, sigma)
