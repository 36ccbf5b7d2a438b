import numpy as np
import pytest

from tests.radiomics.made import ellipse, speckled, torn_mask
from ultrasound_jax.radiomics import RadiomicsError, Settings, extract
from ultrasound_jax.radiomics.features.shape2d import shape2d
from ultrasound_jax.radiomics.region import make_region

FEW = Settings(images=("original",))


def shape_of(mask):
    return shape2d(make_region(np.zeros(mask.shape), mask, 1.0))


def made_mask(*places, shape=(20, 20)):
    mask = np.zeros(shape, bool)
    for place in places:
        mask[place] = True
    return mask


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        (made_mask(), "the mask is empty"),
        (made_mask((3, 4)), "the mask has 1 pixel"),
        (made_mask(np.s_[3, 4:9]), "the mask's 5 pixels lie in one row"),
        (made_mask(np.s_[3:5, 4]), "the mask's 2 pixels lie in one column"),
        (made_mask((1, 1), shape=(20, 21)), "allowed is the same size"),
    ],
    ids=["empty", "one", "row", "column", "size"],
)
def test_a_mask_on_which_nothing_can_be_measured_gives_a_reason(mask, reason):
    with pytest.raises(RadiomicsError, match=reason) as caught:
        extract(speckled(0, 20, 20), mask)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.zeros((20, 20), np.uint8), "0 everywhere"),
        (np.full((20, 20), np.nan), "not finite"),
        (np.zeros((20, 20, 3), np.uint8), r"\(20, 20, 3\)"),
        (np.zeros((20, 20), bool), "bool"),
        (np.linspace(0, 1e9, 400).reshape(20, 20), "bins"),
    ],
    ids=["black", "nan", "colour", "bool", "wide"],
)
def test_an_image_that_cannot_be_measured_gives_a_reason(image, reason):
    with pytest.raises(RadiomicsError, match=reason):
        extract(image, ellipse(20, 20, 10, 10, 5, 4))


def test_wrong_settings_are_refused():
    image, mask = speckled(0, 20, 20), ellipse(20, 20, 10, 10, 5, 4)
    for width in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(RadiomicsError, match="bin_width"):
            Settings(bin_width=width)
    with pytest.raises(RadiomicsError, match="no image is called 'sqare'; there are"):
        extract(image, mask, Settings(images=("sqare",)))
    with pytest.raises(RadiomicsError, match="sigma 0"):
        extract(image, mask, Settings(log_sigmas=(0.0,)))
    with pytest.raises(RadiomicsError, match="no image to measure"):
        Settings(images=())


@pytest.mark.parametrize("size", [(17, 23), (24, 16), (2, 2), (5, 300)])
def test_any_size_and_a_mask_of_all_pixels_give_finite_numbers(size):
    found = extract(speckled(1, *size), np.ones(size, bool))
    assert len(found) == 939 and np.isfinite(list(found.values())).all()


def test_holes_parts_and_borders_give_finite_numbers():
    mask = torn_mask(5)
    found = extract(speckled(5, *mask.shape), mask)
    assert len(found) == 939 and np.isfinite(list(found.values())).all()


def test_a_region_of_one_value_has_the_conventional_numbers():
    image = speckled(2, 40, 40)
    mask = ellipse(40, 40, 20, 20, 9, 6)
    image[mask] = 80
    found = extract(image, mask, FEW)
    expected = {
        "firstorder_Skewness": 0,
        "firstorder_Kurtosis": 0,
        "firstorder_Entropy": 0,
        "firstorder_Uniformity": 1,
        "glcm_Correlation": 1,
        "glcm_MCC": 1,
        "glcm_Imc1": 0,
        "glcm_Imc2": 0,
        "glcm_JointEnergy": 1,
        "glszm_ZonePercentage": 1 / mask.sum(),
        "ngtdm_Coarseness": 1e6,
        "ngtdm_Busyness": 0,
        "ngtdm_Contrast": 0,
        "ngtdm_Complexity": 0,
        "ngtdm_Strength": 0,
    }
    for name, value in expected.items():
        assert found[f"original_{name}"] == pytest.approx(value, abs=1e-14), name


def test_texture_of_the_original_does_not_depend_on_where_the_region_is():
    image, mask = speckled(3, 30, 30), torn_mask(3)
    here, there = np.zeros((60, 64), np.uint8), np.zeros((60, 64), np.uint8)
    inside_here, inside_there = np.zeros((60, 64), bool), np.zeros((60, 64), bool)
    here[:30, :30], there[20:50, 31:61] = image, image
    inside_here[:17, :23], inside_there[20:37, 31:54] = mask, mask
    assert extract(here, inside_here, FEW) == pytest.approx(
        extract(there, inside_there, FEW), rel=1e-12
    )


def test_what_is_outside_the_mask_does_not_change_the_original():
    image, mask = speckled(4, 30, 30), ellipse(30, 30, 15, 15, 8, 6)
    other = np.where(mask, image, 255 - image)
    assert extract(image, mask, FEW) == extract(other, mask, FEW)


def test_a_rectangle_has_the_outline_of_one_with_cut_corners():
    found = shape_of(made_mask(np.s_[4:10, 5:13]))
    assert found["PixelSurface"] == 48
    assert found["MeshSurface"] == 48 - 4 / 8
    assert found["Perimeter"] == pytest.approx(2 * (5 + 7) + 4 * np.sqrt(0.5))
    assert found["MaximumDiameter"] == pytest.approx(np.hypot(5, 8))
    assert found["MajorAxisLength"] == pytest.approx(4 * np.sqrt((8**2 - 1) / 12))
    assert found["Elongation"] == pytest.approx(np.sqrt(35 / 63))


def test_a_hole_is_not_part_of_the_surface_and_has_an_outline():
    whole, holed = made_mask(np.s_[4:10, 5:13]), made_mask(np.s_[4:10, 5:13])
    holed[6, 8] = False
    one, other = shape_of(whole), shape_of(holed)
    assert other["MeshSurface"] == one["MeshSurface"] - 1 + 4 / 8
    assert other["Perimeter"] == pytest.approx(one["Perimeter"] + 4 * np.sqrt(0.5))
    assert other["MaximumDiameter"] == one["MaximumDiameter"]


def test_pixels_that_touch_at_a_corner_are_two_diamonds():
    found = shape_of(made_mask((3, 3), (4, 4)))
    assert found["MeshSurface"] == 2 * 0.5
    assert found["Perimeter"] == pytest.approx(8 * np.sqrt(0.5))
    assert found["Elongation"] == 0


def test_a_diameter_reaches_over_parts():
    found = shape_of(made_mask((2, 3), (14, 3), (7, 9)))
    assert found["MaximumDiameter"] == pytest.approx(13)
