"""Matrices counted pixel by pixel, as the definitions say, on masks of any shape."""

from collections import Counter

import numpy as np
import pytest

from tests.radiomics.made import speckled, torn_mask
from ultrasound_jax.radiomics.features import glcm, gldm, glrlm, glszm, ngtdm
from ultrasound_jax.radiomics.region import DIRECTIONS, make_region

STEPS = [(1, 0), (0, 1), (1, 1), (1, -1)]
AROUND = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]


@pytest.fixture(params=[1, 2, 3], ids=lambda seed: f"mask{seed}", scope="module")
def made(request):
    mask = torn_mask(request.param)
    image = speckled(request.param, *mask.shape)
    image[8:12, 12:20] = 90  # a part of one value
    region = make_region(image.astype(float), mask, 25.0)
    places = zip(*map(np.ndarray.tolist, np.nonzero(mask)), strict=True)
    return region, {
        place: int(image[place] // 25 - image[mask].min() // 25 + 1) for place in places
    }


def test_levels_begin_with_the_bin_of_the_lowest_value(made):
    region, level = made
    assert list(region.levels[region.level]) == list(level.values())


def test_cooccurrence_counts_neighbours_inside_the_mask(made):
    region, level = made
    averages = {"Contrast": [], "JointEntropy": [], "JointEnergy": [], "Idmn": []}
    highest = max(level.values())
    for down, right in STEPS:
        pairs = Counter()
        for (y, x), here in level.items():
            other = level.get((y + down, x + right))
            if other is not None:
                pairs[here, other] += 1
                pairs[other, here] += 1
        share = {pair: n / pairs.total() for pair, n in pairs.items()}
        apart = {(i, j): (i - j) ** 2 for i, j in share}
        averages["Contrast"].append(sum(p * apart[k] for k, p in share.items()))
        averages["JointEntropy"].append(-sum(p * np.log2(p) for p in share.values()))
        averages["JointEnergy"].append(sum(p**2 for p in share.values()))
        averages["Idmn"].append(
            sum(p / (1 + apart[k] / highest**2) for k, p in share.items())
        )
    found = glcm.glcm(region)
    for name, each in averages.items():
        assert found[name] == pytest.approx(np.mean(each), rel=1e-12), name


def test_a_direction_without_neighbours_is_left_out_of_the_mean():
    mask = np.zeros((6, 6), bool)
    mask[0, 0] = mask[1, 1] = mask[4, 4] = mask[5, 5] = True
    image = np.arange(36.0).reshape(6, 6) * 10
    region = make_region(image, mask, 25.0)
    other = make_region(image[:2, :2], mask[:2, :2], 25.0)
    assert glcm.glcm(other)["Contrast"] == 4.0  # 0 and 70 are levels 1 and 3
    # 280 and 350 are levels 12 and 15.
    assert glcm.glcm(region)["Contrast"] == (4 + 9) / 2


def test_pixels_that_all_lie_apart_have_no_cooccurrence():
    mask = np.zeros((7, 7), bool)
    mask[0, 0] = mask[3, 5] = mask[6, 1] = True
    region = make_region(np.ones((7, 7)), mask, 25.0)
    assert np.isnan(list(glcm.glcm(region).values())).all()
    assert np.isnan(list(glrlm.glrlm(region).values())).all()
    assert np.isfinite(list(glszm.glszm(region).values())).all()
    assert np.isfinite(list(ngtdm.ngtdm(region).values())).all()


def test_runs_end_at_the_mask_and_at_another_level(made):
    region, level = made
    averages = {"LongRunEmphasis": [], "RunEntropy": [], "RunPercentage": []}
    for down, right in STEPS:
        runs = Counter()
        for (y, x), here in level.items():
            if level.get((y - down, x - right)) == here:
                continue
            length = 1
            while level.get((y + length * down, x + length * right)) == here:
                length += 1
            runs[here, length] += 1
        total = runs.total()
        averages["LongRunEmphasis"].append(
            sum(n * j**2 for (_, j), n in runs.items()) / total
        )
        averages["RunEntropy"].append(
            -sum(n / total * np.log2(n / total) for n in runs.values())
        )
        averages["RunPercentage"].append(total / len(level))
    found = glrlm.glrlm(region)
    for name, each in averages.items():
        assert found[name] == pytest.approx(np.mean(each), rel=1e-12), name


def test_zones_are_joined_over_corners(made):
    region, level = made
    left, zones = dict(level), Counter()
    while left:
        place, here = left.popitem()
        size, border = 1, [place]
        while border:
            y, x = border.pop()
            for down, right in AROUND:
                beside = (y + down, x + right)
                if left.get(beside) == here:
                    del left[beside]
                    border.append(beside)
                    size += 1
        zones[here, size] += 1
    found, total = glszm.glszm(region), zones.total()
    assert found["ZonePercentage"] == pytest.approx(total / len(level))
    large = sum(n * i**2 * j**2 for (i, j), n in zones.items()) / total
    assert found["LargeAreaHighGrayLevelEmphasis"] == pytest.approx(large)
    entropy = -sum(n / total * np.log2(n / total) for n in zones.values())
    assert found["ZoneEntropy"] == pytest.approx(entropy)


def test_dependence_counts_equal_neighbours(made):
    region, level = made
    cells = Counter()
    for (y, x), here in level.items():
        equal = sum(level.get((y + d, x + r)) == here for d, r in AROUND)
        cells[here, equal + 1] += 1
    found, total = gldm.gldm(region), len(level)
    small = sum(n / j**2 * i**2 for (i, j), n in cells.items()) / total
    assert found["SmallDependenceHighGrayLevelEmphasis"] == pytest.approx(small)
    mean = sum(n * j for (_, j), n in cells.items()) / total
    spread = sum(n * (j - mean) ** 2 for (_, j), n in cells.items()) / total
    assert found["DependenceVariance"] == pytest.approx(spread)


def test_tone_differences_are_to_the_mean_of_the_neighbours(made):
    region, level = made
    number, difference = Counter(level.values()), Counter()
    for (y, x), here in level.items():
        around = [level.get((y + d, x + r)) for d, r in AROUND]
        inside = [one for one in around if one is not None]
        if inside:
            difference[here] += abs(here - np.mean(inside))
    size = len(level)
    coarse = 1 / sum(n / size * difference[i] for i, n in number.items())
    found = ngtdm.ngtdm(region)
    assert found["Coarseness"] == pytest.approx(coarse)
    strength = sum(
        (number[i] + number[j]) / size * (i - j) ** 2 for i in number for j in number
    )
    assert found["Strength"] == pytest.approx(strength / sum(difference.values()))


def test_directions_are_four_of_eight():
    both = {*DIRECTIONS, *((-y, -x) for y, x in DIRECTIONS)}
    assert both == set(AROUND)
