"""The phantom as a dataset: options, determinism, labels, and a real TFDS build."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.lus_phantom.lus_phantom_dataset_builder import (
    Builder,
    simulate_video,
)
from ultrasound_jax.datasets.lus_phantom.patients import (
    CLASSES,
    WARD,
    draw_findings,
    draw_patient,
    tendency_of,
)
from ultrasound_jax.media.cutting import (
    clip_step,
    clip_windows,
)

ROOT = Path(__file__).parents[2]
TINY = {"size": 32, "patients": 2, "videos": 1}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Builder:
    folder = tmp_path_factory.mktemp("tfds")
    builder = Builder(config=Builder.make_config(**TINY), data_dir=folder)
    builder.download_and_prepare()
    return builder


def _clips(builder: Builder) -> list[dict]:
    return list(builder.as_data_source(split="clips"))


def test_the_same_numbers_give_the_same_bytes():
    config = Builder.make_config(**TINY)
    first, second = (simulate_video(config, 5, 1) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


@pytest.mark.parametrize("change", ["seed", "patient", "video"])
def test_another_seed_patient_or_video_gives_other_frames(change):
    numbers = {"seed": 0, "patient": 5, "video": 1}
    films = []
    for add in (0, 1):
        seed, patient, video = (numbers | {change: numbers[change] + add}).values()
        config = Builder.make_config(size=32, seed=seed)
        films.append(simulate_video(config, patient, video)[0][0])
    assert np.mean(films[0] != films[1]) > 0.2


def test_a_higher_frame_rate_sees_the_same_moments():
    slow, fast = (
        simulate_video(Builder.make_config(size=32, frame_rate=rate), 3, 0)
        for rate in (5, 10)
    )
    shared = min(len(slow[0]), len(fast[0][::2]))
    np.testing.assert_array_equal(slow[0][:shared], fast[0][::2][:shared])
    np.testing.assert_array_equal(slow[1][:shared], fast[1][::2][:shared])


def test_a_larger_frame_shows_the_same_scene():
    small, large = (
        simulate_video(Builder.make_config(size=size), 3, 0)[0][0].astype(float)
        for size in (64, 192)
    )
    averaged = large.reshape(64, 3, 64, 3).mean(axis=(1, 3))
    # cv2 rounds once more than the mean does.
    np.testing.assert_allclose(small, averaged, atol=1)


def test_every_eight_patients_are_the_same_ward_in_an_order_of_the_seed():
    wards = [[tendency_of(seed, n) for n in range(8)] for seed in range(4)]
    assert all(sorted(ward) == sorted(WARD) for ward in wards)
    assert len({tuple(ward) for ward in wards}) > 1


def test_patients_differ_in_body_machine_and_breathing():
    people = [draw_patient(0, n) for n in range(20)]
    for name in ("pleura_mm", "breath_hz", "gain_db", "dynamic_range_db", "noise_db"):
        assert len({getattr(person, name) for person in people}) == 20
    depths = [person.probe.depth_mm for person in people]
    assert 80 <= min(depths) < 110 < 130 < max(depths) <= 160


def test_two_reverberations_always_fit_on_the_screen():
    for n in range(100):
        person = draw_patient(1, n)
        assert person.probe.depth_mm > 3 * person.pleura_mm


def test_different_options_never_share_a_name():
    changes = {
        "size": 65,
        "frame_rate": 12.5,
        "patients": 47,
        "videos": 2,
        "seed": 1,
        "clip_seconds": 1.5,
        "overlap": 0.25,
    }
    names = {Builder.make_config(**{key: value}).name for key, value in changes.items()}
    assert len(names | {Builder.make_config().name}) == len(changes) + 1
    assert all("." not in name and "/" not in name for name in names)


def test_whole_numbers_name_the_same_config_whatever_their_type():
    assert Builder.make_config(frame_rate=10) is Builder.make_config(frame_rate=10.0)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"sise": 64}, "'sise'.*allowed: size, frame_rate"),
        ({"size": 8}, "size=8.*from 16 to 1024"),
        ({"size": 64.5}, "size=64.5.*whole number"),
        ({"patients": 0}, "patients=0"),
        ({"overlap": 1.0}, "overlap=1.0.*from 0 to 0.95"),
        ({"frame_rate": float("nan")}, "frame_rate=nan"),
        ({"videos": "three"}, "videos='three'"),
        ({"seed": True}, "seed=True"),
    ],
)
def test_a_bad_option_is_refused_with_what_is_allowed(options, named):
    with pytest.raises(DatasetError, match=named) as caught:
        Builder.make_config(**options)
    assert "\n" not in str(caught.value)


def test_findings_are_neither_rare_nor_universal_and_often_occur_together():
    shown = np.array(
        [
            [
                list(vars(draw_findings(rng, tendency_of(0, patient))).values())
                for rng in (
                    np.random.default_rng([0, 3, patient, video]) for video in range(3)
                )
            ]
            for patient in range(48)
        ]
    )
    share = shown.mean(axis=(0, 1))
    assert np.all((share > 0.2) & (share < 0.7))
    assert np.all(shown.any(axis=1).sum(axis=0) >= 12)
    assert 0.3 < np.mean(shown.sum(axis=2) > 1) < 0.8


def test_built_records_are_what_the_simulator_gave(tiny):
    config = tiny.builder_config
    records = {record["example_id"].decode(): record for record in _clips(tiny)}
    length, seen = config.clip_frames, 0
    for patient in range(config.patients):
        frames, visible, pixel_mm = simulate_video(config, patient, 0)
        windows = clip_windows(len(frames), length, clip_step(length, 0.2))
        for start, end in windows:
            record = records[f"P{patient:03d}_V0_{start:04d}"]
            np.testing.assert_array_equal(record["clip"][..., 0], frames[start:end])
            np.testing.assert_array_equal(record["pattern_frames"], visible[start:end])
            np.testing.assert_array_equal(
                record["labels"], visible[start:end].any(axis=0)
            )
            assert record["patient_id"].decode() == f"P{patient:03d}"
            assert record["video_id"].decode() == f"P{patient:03d}_V0"
            assert record["start_frame"] == start
            assert record["frame_rate"] == 10
            assert record["pixel_mm"] == pytest.approx(pixel_mm, rel=1e-6)
            seen += 1
    assert len(records) == seen == tiny.info.splits["clips"].num_examples


def test_the_record_has_the_types_of_the_first_waist(tiny):
    record = _clips(tiny)[0]
    assert record["clip"].dtype == np.uint8
    assert record["clip"].shape[1:] == (32, 32, 1)
    assert record["labels"].dtype == record["pattern_frames"].dtype == np.int8
    assert tiny.info.metadata["classes"] == list(CLASSES)
    assert tiny.info.metadata["clip_frames"] == 10
    assert tiny.info.metadata["size"] == 32
    assert tiny.info.metadata["frame_rate"] == 10
    assert tiny.info.metadata["skipped"] == []


def test_building_and_reading_do_not_load_tensorflow(tmp_path):
    program = f"""
import sys
from ultrasound_jax.datasets.lus_phantom.lus_phantom_dataset_builder import Builder
config = Builder.make_config(size=16, patients=1, videos=1)
builder = Builder(config=config, data_dir={str(tmp_path)!r})
builder.download_and_prepare()
assert builder.as_data_source(split="clips")[0]["clip"].shape[1:] == (16, 16, 1)
assert "tensorflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
    assert list(tmp_path.rglob("*.array_record*"))


# protobuf warns of itself when TFDS reads a finished build's description.
@pytest.mark.filterwarnings("ignore:label:DeprecationWarning")
@pytest.mark.slow
def test_the_tfds_command_builds_the_phantom(tmp_path):
    command = [
        *(sys.executable, "-m", "tensorflow_datasets.scripts.cli.main", "build"),
        "ultrasound_jax/datasets/lus_phantom",
        f"--data_dir={tmp_path}",
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    config = Builder.make_config()
    built = Builder(config=config, data_dir=tmp_path)
    source = _clips(built)
    labels = np.stack([record["labels"] for record in source])
    patients = np.array([record["patient_id"].decode() for record in source])
    assert 450 <= len(labels) <= 560
    assert np.all((labels.mean(axis=0) >= 0.2) & (labels.mean(axis=0) <= 0.7))
    for column in labels.T:
        assert len(set(patients[column == 1])) >= 12
