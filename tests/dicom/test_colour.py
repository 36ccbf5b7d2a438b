import imagecodecs
import numpy as np
import pytest

from tests.dicom import made
from tests.dicom.made import from_ybr, make, scan, to_ybr
from ultrasound_jax.dicom.read import colour
from ultrasound_jax.dicom.read.decode import open_cine

COLOUR = scan()
YBR = to_ybr(COLOUR)


def opened(path):
    with open_cine(path) as cine:
        return next(cine.frames()), cine.colour, cine.notes


def gap(one, other):
    return np.abs(one.astype(int) - other.astype(int))


def halved(ybr):
    """Uncompressed YBR_FULL_422: Y Y Cb Cr, chroma of the first of two pixels."""
    rows, columns = ybr.shape[:2]
    luma = ybr[..., 0].reshape(rows, columns // 2, 2)
    return np.concatenate([luma, ybr[:, ::2, 1:]], axis=2).tobytes()


def test_conversion_equals_the_standard_within_one_level():
    levels = np.arange(0, 256, 5, np.uint8)
    every = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(-1, 52, 3)
    assert gap(colour.to_rgb(every, colour.YBR), from_ybr(every)).max() <= 1


def test_partial_range_reaches_black_and_white():
    ends = np.array([[[16, 128, 128], [235, 128, 128]]], np.uint8)
    assert colour.to_rgb(ends, colour.YBR_PARTIAL).tolist() == [[[0] * 3, [255] * 3]]
    assert colour.to_grey(ends, colour.YBR_PARTIAL).tolist() == [[0, 255]]


def test_uncompressed_ybr_full_becomes_rgb(tmp_path):
    path = make(tmp_path / "a", YBR.tobytes(), YBR, photometric="YBR_FULL")
    picture, space, _ = opened(path)
    assert space == "ybr" and gap(picture, from_ybr(YBR)).max() <= 1


def test_uncompressed_planes_of_ybr_become_rgb(tmp_path):
    planes = np.moveaxis(YBR, -1, 0).tobytes()
    path = make(
        tmp_path / "a", planes, YBR, photometric="YBR_FULL", PlanarConfiguration=1
    )
    assert gap(opened(path)[0], from_ybr(YBR)).max() <= 1


def test_shared_chroma_is_spread_over_both_pixels(tmp_path):
    path = make(tmp_path / "a", halved(YBR), YBR, photometric="YBR_FULL_422")
    shared = YBR.copy()
    shared[:, 1::2, 1:] = shared[:, ::2, 1:]
    assert gap(opened(path)[0], from_ybr(shared)).max() <= 1


def test_stated_422_with_three_bytes_a_pixel_is_not_shared(tmp_path):
    path = make(tmp_path / "a", YBR.tobytes(), YBR, photometric="YBR_FULL_422")
    assert gap(opened(path)[0], from_ybr(YBR)).max() <= 1


@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "YBR_FULL"])
def test_rgb_that_is_stated_as_ybr_does_not_turn_green(tmp_path, photometric):
    path = make(tmp_path / "a", COLOUR.tobytes(), COLOUR, photometric=photometric)
    picture, space, notes = opened(path)
    assert space == "rgb" and gap(picture, COLOUR).max() == 0
    assert notes == ("its colours are stated as ybr but are rgb",)


def test_ybr_that_is_stated_as_rgb_is_converted(tmp_path):
    path = make(tmp_path / "a", YBR.tobytes(), YBR, photometric="RGB")
    picture, space, notes = opened(path)
    assert space == "ybr" and gap(picture, from_ybr(YBR)).max() <= 1
    assert notes == ("its colours are stated as rgb but are ybr",)


@pytest.mark.parametrize("subsampling", ["444", "422", "420"])
def test_a_jpeg_that_is_ycbcr_is_believed_more_than_the_header(tmp_path, subsampling):
    code = made.jpeg(COLOUR, subsampling=subsampling)
    path = make(tmp_path / "a", [code], COLOUR, made.JPEG, photometric="RGB")
    picture, space, _ = opened(path)
    assert space == "ybr" and gap(picture, COLOUR).mean() < 2


def test_a_jpeg_that_is_rgb_is_believed_more_than_the_header(tmp_path):
    code = made.jpeg(COLOUR, space="RGB")
    path = make(tmp_path / "a", [code], COLOUR, made.JPEG, photometric="YBR_FULL_422")
    picture, space, _ = opened(path)
    assert space == "rgb" and gap(picture, COLOUR).mean() < 2


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL_422"])
@pytest.mark.parametrize("space", ["rgb", "ybr"])
def test_a_jpeg_without_a_word_on_colours_is_judged_by_its_pixels(
    tmp_path, photometric, space
):
    code = made.components(COLOUR if space == "rgb" else YBR, level=95)
    path = make(tmp_path / "a", [code], COLOUR, made.JPEG, photometric=photometric)
    picture, found, _ = opened(path)
    assert found == space and gap(picture, COLOUR).mean() < 2


@pytest.mark.parametrize("space", ["rgb", "ybr"])
def test_lossless_jpegs_are_judged_by_header_and_pixels(tmp_path, space):
    # Sonoscape and others state RGB over YCbCr; encoders of RGB may write JFIF.
    samples = COLOUR if space == "rgb" else YBR
    code = made.components(samples, made.JFIF, lossless=True, predictor=1)
    path = make(tmp_path / "a", [code], COLOUR, made.LOSSLESS_SV1, photometric="RGB")
    with open_cine(path) as cine:
        expected = from_ybr(YBR) if space == "ybr" else COLOUR
        assert cine.colour == space
        assert gap(next(cine.frames()), expected).max() <= 1


def test_a_marker_is_overruled_by_pixels_that_cannot_be(tmp_path):
    adobe = made.jpeg(COLOUR, space="RGB")
    wrong = adobe.replace(b"Adobe\0\x64\0\0\0\0\0", b"Adobe\0\x64\0\0\0\0\x01")
    assert wrong != adobe
    path = make(tmp_path / "a", [wrong], COLOUR, made.JPEG, photometric="YBR_FULL_422")
    assert opened(path)[1] == "rgb"


def test_a_picture_without_grey_is_left_as_it_is_stated(tmp_path):
    flat = np.full((20, 20, 3), (120, 60, 200), np.uint8)
    path = make(tmp_path / "a", flat.tobytes(), flat, photometric="RGB")
    assert opened(path)[1] == "rgb"
    assert gap(opened(path)[0], flat).max() == 0


@pytest.mark.parametrize("photometric", ["YBR_RCT", "YBR_ICT", "RGB"])
@pytest.mark.parametrize("transformed", [True, False])
def test_jpeg_2000_transforms_are_undone_once(tmp_path, photometric, transformed):
    code = imagecodecs.jpeg2k_encode(
        COLOUR, codecformat="J2K", reversible=True, mct=transformed
    )
    path = make(
        tmp_path / "a", [code], COLOUR, made.J2K_LOSSLESS, photometric=photometric
    )
    assert gap(opened(path)[0], COLOUR).max() == 0


def test_jpeg_2000_of_plain_ybr_is_converted(tmp_path):
    code = imagecodecs.jpeg2k_encode(YBR, codecformat="J2K", reversible=True, mct=False)
    path = make(tmp_path / "a", [code], YBR, made.J2K_LOSSLESS, photometric="YBR_FULL")
    assert gap(opened(path)[0], from_ybr(YBR)).max() <= 1


def test_every_frame_has_the_colours_of_the_first(tmp_path):
    black = np.zeros_like(COLOUR)
    cine = np.stack([COLOUR, black])
    path = make(
        tmp_path / "a", cine.tobytes(), COLOUR, photometric="YBR_FULL", NumberOfFrames=2
    )
    with open_cine(path) as opened_cine:
        for found, expected in zip(opened_cine.frames(), cine, strict=True):
            assert gap(found, expected).max() == 0


def cine_of(path, frames, photometric, **elements):
    """A file of several frames, uncompressed."""
    return make(
        path,
        np.stack(frames).tobytes(),
        frames[0],
        photometric=photometric,
        NumberOfFrames=len(frames),
        **elements,
    )


def flat(*levels):
    return np.full_like(COLOUR, levels)


@pytest.mark.parametrize(
    ("photometric", "level"),
    [("YBR_FULL", (0,)), ("YBR_FULL", (255,)), ("RGB", (20, 128, 128))],
)
@pytest.mark.parametrize("others", [1, 5])
def test_a_flat_first_frame_does_not_overrule_the_header(
    tmp_path, photometric, level, others
):
    pictures = [YBR if photometric == "YBR_FULL" else COLOUR] * others
    path = cine_of(tmp_path / "a", [flat(*level), *pictures], photometric)
    with open_cine(path) as cine:
        assert cine.colour == ("ybr" if photometric == "YBR_FULL" else "rgb")
        assert cine.notes == ()
        *_, last = cine.frames()
        assert gap(last, from_ybr(YBR)).max() <= 2


def test_a_flat_still_is_as_it_is_stated(tmp_path):
    path = cine_of(tmp_path / "a", [flat(0)], "YBR_FULL")
    assert opened(path)[1] == "ybr"


def test_a_flat_first_frame_with_noise_is_still_no_evidence(tmp_path):
    noise = np.random.default_rng(0).integers(0, 4, COLOUR.shape).astype(np.uint8)
    path = cine_of(tmp_path / "a", [noise, YBR], "YBR_FULL")
    assert opened(path)[1] == "ybr"


def test_a_title_on_zeros_does_not_overrule_the_header(tmp_path):
    title = flat(0)
    title[20:30, 20:60] = (255, 128, 128)
    path = cine_of(tmp_path / "a", [title, YBR], "YBR_FULL")
    assert opened(path)[1] == "ybr"


@pytest.mark.parametrize("place", [0, 1, 2])
def test_headers_that_lie_are_overruled_though_one_frame_is_flat(tmp_path, place):
    lies = [COLOUR] * 3
    lies[place] = flat(0)
    assert opened(cine_of(tmp_path / "a", lies, "YBR_FULL"))[1] == "rgb"
    lies = [YBR] * 3
    lies[place] = flat(0, 128, 128)
    assert opened(cine_of(tmp_path / "b", lies, "RGB"))[1] == "ybr"


def test_a_first_frame_that_the_others_contradict_does_not_overrule(tmp_path):
    path = cine_of(tmp_path / "a", [COLOUR, YBR, YBR], "YBR_FULL")
    picture, space, notes = opened(path)
    assert space == "ybr"
    assert notes == ("some frames look rgb and others ybr: ybr is taken, as stated",)


def test_a_later_frame_that_does_not_decode_is_no_witness(tmp_path):
    good = made.components(YBR, level=95)
    damaged = good[: len(good) // 8]
    path = make(
        tmp_path / "a",
        [good, damaged, damaged],
        COLOUR,
        made.JPEG,
        photometric="RGB",
        NumberOfFrames=3,
    )
    assert opened(path)[1] == "ybr"
