import numpy as np
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from tests.dicom.made import header
from ultrasound_jax.dicom.read.elements import quiet
from ultrasound_jax.dicom.read.timing import (
    FrameTiming,
    read_timing,
    with_film_rate,
)
from ultrasound_jax.types import InputError

VARYING = [0, 40, 40, 80, 40]


def timing(frames=5, **elements):
    return read_timing(header(2, 2, **elements), frames)


def test_a_vector_that_varies_gives_every_time():
    found = timing(FrameTimeVector=VARYING, CineRate=20)
    assert found.source == "FrameTimeVector" and found.rate == pytest.approx(20)
    assert np.allclose(found.times, [0, 0.04, 0.08, 0.16, 0.20])
    assert np.allclose(found.timestamps(5), [0, 0.04, 0.08, 0.16, 0.20])


def test_the_first_increment_belongs_to_no_interval():
    found = timing(FrameTimeVector=[33, *VARYING[1:]])
    assert np.allclose(found.times, [0, 0.04, 0.08, 0.16, 0.20])
    assert np.allclose(timing(FrameTimeVector=VARYING[1:]).times, found.times)


def test_a_vector_of_one_interval_is_a_rate():
    found = timing(FrameTimeVector=[0, 33.3, 33.4, 33.3, 33.4])
    assert found.times is None and found.rate == pytest.approx(4 / 0.1334)


def test_a_single_frame_may_have_a_vector_of_itself():
    assert timing(1, FrameTimeVector=[0], FrameTime=50).source == "FrameTime"


@pytest.mark.parametrize(
    ("elements", "source", "rate"),
    [
        ({"FrameTime": 40, "CineRate": 25}, "FrameTime", 25),
        ({"CineRate": 25, "RecommendedDisplayFrameRate": 24}, "CineRate", 25),
        ({"RecommendedDisplayFrameRate": 24}, "RecommendedDisplayFrameRate", 24),
        ({"CineRate": 25, "ActualFrameDuration": 41}, "CineRate", 25),
        (
            {"ActualFrameDuration": 40, "EffectiveDuration": 0.2},
            "ActualFrameDuration",
            25,
        ),
        (
            {"EffectiveDuration": 0.2, "RecommendedDisplayFrameRate": 25},
            "EffectiveDuration",
            25,
        ),
        ({}, "none", None),
    ],
)
def test_sources_are_asked_in_the_order_of_trust(elements, source, rate):
    found = timing(**elements)
    assert found.source == source and found.rate == rate and not found.notes


def test_a_still_has_no_rate_by_how_long_it_took():
    assert timing(1, EffectiveDuration=0.04).source == "none"


def with_commas(**texts):
    """Elements as stored by who writes decimal commas."""
    dataset = header(2, 2)
    for keyword, text in texts.items():
        vr = dictionary_VR(keyword)
        raw = RawDataElement(Tag(keyword), vr, len(text), text.encode(), 0, False, True)
        dataset._dict[Tag(keyword)] = raw
    with quiet():
        return read_timing(dataset, 3)


def test_decimal_commas_are_understood():
    assert with_commas(FrameTime="33,3 ").rate == pytest.approx(1000 / 33.3)
    assert with_commas(CineRate="29,97 ").rate == pytest.approx(29.97)
    found = with_commas(FrameTimeVector="0,0\\33,25\\66,5 ")
    assert np.allclose(found.times, [0, 0.03325, 0.09975])
    mixed = with_commas(FrameTimeVector="0\\33,25\\66.5 ")
    assert np.allclose(mixed.times, found.times)


@pytest.mark.parametrize("text", ["1,000.5", "1,2,3", ",", "33,x"])
def test_other_commas_are_no_numbers(text):
    found = with_commas(FrameTime=text, CineRate="25")
    assert (found.source, found.rate) == ("CineRate", 25)


def test_a_films_own_rate_fills_what_its_header_leaves_out():
    found = with_film_rate(timing(), 20.0)
    assert (found.source, found.rate, found.notes) == ("film", 20, ())
    assert with_film_rate(timing(), None).source == "none"


def test_the_header_comes_before_the_film_and_a_contradiction_is_noted():
    found = with_film_rate(timing(FrameTime=40), 30.0)
    assert (found.source, found.rate) == ("FrameTime", 25)
    assert found.notes == ("FrameTime gives 25 Hz but film 30 Hz",)
    assert not with_film_rate(timing(FrameTime=40), 25.0).notes


def test_an_absurd_film_rate_is_passed_over():
    found = with_film_rate(timing(), 90000.0)
    assert found.source == "none" and "film gives 90000 Hz" in found.notes[0]


def test_the_pointed_element_comes_first():
    found = timing(
        FrameTimeVector=VARYING, FrameTime=50, FrameIncrementPointer=0x00181063
    )
    assert found.source == "FrameTime" and found.rate == 20


@pytest.mark.parametrize("bad", [0, -5, 1e-9, 1e9])
def test_absurd_values_pass_on_to_the_next_source(bad):
    found = timing(FrameTime=bad, CineRate=25)
    assert found.source == "CineRate"
    assert len(found.notes) == 1 and "FrameTime gives" in found.notes[0]


@pytest.mark.parametrize("vector", [[0, 40, 40], [0, 40, -40, 40, 40], [0, 0, 1, 1, 1]])
def test_unusable_vectors_pass_on_to_the_next_source(vector):
    found = timing(FrameTimeVector=vector, CineRate=25)
    assert found.source == "CineRate" and "is no use" in found.notes[0]


def test_sources_that_contradict_are_noted():
    assert "but CineRate 60 Hz" in timing(FrameTime=40, CineRate=60).notes[0]
    assert not timing(FrameTime=33.333, CineRate=30).notes


def test_steady_timestamps_follow_the_rate():
    assert np.allclose(timing(CineRate=25).timestamps(4), [0, 0.04, 0.08, 0.12])
    assert np.allclose(timing().timestamps(3, 10.0), [0, 0.1, 0.2])
    assert len(timing().timestamps(0)) == 0


def test_frames_beyond_the_known_times_follow_at_the_median():
    found = FrameTiming(10.0, "FrameTimeVector", np.array([0, 0.1, 0.3, 0.4]))
    assert np.allclose(found.timestamps(6), [0, 0.1, 0.3, 0.4, 0.5, 0.6])
    assert np.allclose(found.timestamps(2), [0, 0.1])


def test_timestamps_need_a_rate_above_zero():
    with pytest.raises(InputError, match="above 0"):
        timing().timestamps(3, 0.0)
