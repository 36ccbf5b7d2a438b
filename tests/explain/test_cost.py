from functools import partial

import jax.numpy as jnp
import pytest
from flax import nnx

from tests.models.tiny_networks import build_tiny
from tests.tasks.made import image_spec
from ultrasound_jax import models, tasks
from ultrasound_jax.analysis.report import cost_section
from ultrasound_jax.explain.commands import cost
from ultrasound_jax.explain.cost import profile
from ultrasound_jax.explain.errors import ExplainError

# GMACs of one 30x256x256 clip in three channels, as counted on the originals. In place
# of an encoder None is for a network that is sized by its clip, "" for one that is not.
PUBLISHED = [
    ("luvnet", "resnet50", 161.83, 121_046_596),
    ("usvn", "resnet50", 160.15, 23_518_276),
    ("cnn_lstm", "resnet50", 160.22, 25_747_824),
    ("vivit", None, 17.87, 5_184_580),
    ("c3d", None, 369.14, 214_327_044),
]
LARGE = [
    ("luvnet", "densenet161", 304.67, 136_222_884),
    ("luvnet_no_temporal", "densenet161", 302.76, 62_677_188),
    ("usvn", "densenet161", 302.72, 26_483_044),
    ("cnn_lstm", "densenet161", 302.79, 28_759_792),
    ("r2plus1d_18", "", 411.42, 33_176_989),
    ("r2plus1d_34", "", 759.31, 63_510_749),
]


def published(name, encoder):
    options = {"clip_shape": (30, 256, 256)} if encoder is None else {}
    if encoder:
        options["encoder"] = encoder

    def make():
        return models.build(name, rngs=nnx.Rngs(0), **options)

    return profile.subject_of(name, make, (30, 256, 256, 3), "float32")


@pytest.mark.parametrize(
    ("name", "encoder", "gmacs", "parameters"),
    [*PUBLISHED, *(pytest.param(*case, marks=pytest.mark.slow) for case in LARGE)],
)
def test_published_networks_cost_what_was_counted_on_the_originals(
    name, encoder, gmacs, parameters
):
    subject = published(name, encoder)
    counted = profile.count(subject)
    # The table has two decimals.
    assert counted.macs / 1e9 == pytest.approx(gmacs, abs=0.0051)
    assert profile.parameters(subject) == parameters
    assert 2 * counted.inside == pytest.approx(profile.xla_flops(counted), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "gmacs", "ratio"),
    [
        ("mvit_v1_b", 223.93, 1.0),
        # Relative positions ride in the keys, a third wider.
        ("mvit_v2_s", 208.6, 1.083),
    ],
)
def test_where_a_network_is_computed_otherwise_its_count_says_so(name, gmacs, ratio):
    counted = profile.count(published(name, None))
    assert counted.macs / 1e9 == pytest.approx(ratio * gmacs, rel=1e-3)
    assert 2 * counted.inside == pytest.approx(profile.xla_flops(counted), rel=1e-6)


def test_the_depthwise_convolutions_of_x3d_are_in_its_count():
    # Feichtenhofer, CVPR 2020, table 4: 1.96 "GFLOPs", which are multiply-adds.
    def make():
        return models.build("x3d_s", rngs=nnx.Rngs(0))

    subject = profile.subject_of("x3d_s", make, (13, 160, 160, 3), "float32")
    counted = profile.count(subject)
    assert counted.macs / 1e9 == pytest.approx(1.96, abs=0.0051)
    assert 2 * counted.inside == pytest.approx(profile.xla_flops(counted), rel=1e-6)


@pytest.fixture(scope="module")
def row():
    make = partial(build_tiny, "luvnet", "tiny_basic", heads=4)
    subject = profile.subject_of("tiny", make, (4, 20, 20, 1), "float32")
    return profile.measure(subject, batch=2, repeats=3, warm_up=1)


def test_a_row_has_work_memory_and_time(row):
    assert row["flops"] == 2 * row["macs"] > row["flops_without_padding"] > 0
    assert row["ratio_to_xla"] == pytest.approx(1, abs=profile.TOLERANCE)
    assert row["flops_xla_program"] > row["flops_xla_products"]
    whole = row["flops_without_padding"] / row["flops_xla_program"]
    assert row["ratio_to_xla_program"] == pytest.approx(whole)
    assert 0.5 < whole < 1
    assert row["memory_bytes"]["total"] > 4 * row["parameters"]
    assert 0 < row["latency_p50_ms"] <= row["latency_p95_ms"]
    assert row["clips_per_second"] > 0


def test_parameters_are_those_of_the_network(row):
    model = build_tiny("luvnet", "tiny_basic", heads=4)
    params = nnx.to_flat_state(nnx.state(model, nnx.Param))
    assert row["parameters"] == sum(value.size for _, value in params)


def test_the_table_has_a_line_a_row_with_the_units_in_its_head(row):
    head, rule, *lines = profile.table([row, row | {"batch": 4}]).splitlines()
    assert "GMACs" in head and "p95 ms" in head
    cells = dict(zip(head.split("|"), lines[0].split("|"), strict=True))
    assert cells[" A/C "].strip() == f"{row['ratio_to_xla_program']:.3f}"
    assert head.count("|") == rule.count("|") == lines[0].count("|")
    assert len(lines) == 2


def test_counts_that_do_not_agree_with_xlas_are_refused(monkeypatch):
    make = partial(build_tiny, "frame_vote", "tiny_basic")
    subject = profile.subject_of("tiny", make, (4, 20, 20, 1), "float32")
    counted = profile.count(subject)
    monkeypatch.setattr(profile, "xla_flops", lambda counted: 2.2 * counted.inside)
    with pytest.raises(ExplainError, match="tiny: we count .* XLA"):
        profile.work(subject, counted, 1)


def test_the_batch_multiplies_the_work():
    make = partial(build_tiny, "frame_vote", "tiny_basic")
    subject = profile.subject_of("tiny", make, (4, 20, 20, 1), "float32")
    one, three = profile.count(subject, 1), profile.count(subject, 3)
    assert three.macs == 3 * one.macs
    assert subject.pixels(3).dtype == jnp.float32


def test_a_network_of_images_has_a_row_in_its_own_words():
    task = tasks.build("multiclass", image_spec(("a", "b", "c"), side=32), options={})
    options = {"encoder": "resnet18", "width": 4}
    about = {"name": "image_classifier", "options": options}
    about |= {"dtype": "float32", "remat": False}
    subject = cost._subject("mine", about, task, 1)
    assert subject.unit == "image" and subject.shape == (32, 32, 1)
    row = profile.measure(subject, batch=2, repeats=2, warm_up=1)
    assert row["image"] == "32x32x1" and row["images_per_second"] > 0
    assert row["macs"] > 0 and "clip" not in row
    head, _, line = profile.table([row]).splitlines()
    assert "images/s" in head and " image " in head and "32x32x1" in line


def test_clips_and_images_stand_in_one_table(row):
    image = {k: v for k, v in row.items() if k not in ("clip", "clips_per_second")}
    image |= {"image": "32x32x1", "images_per_second": 5.0}
    head, _, first, second = profile.table([row, image]).splitlines()
    assert " input " in head and "inputs/s" in head
    assert "4x20x20x1" in first and second.endswith("| 5.0 |")
    blocks = cost_section.cost([], [[row, image]])
    header = blocks[1].header
    assert {"clip", "image", "clips/s", "images/s"} <= set(header)
    assert "image" not in cost_section.cost([], [[row]])[1].header


def test_all_outputs_count_where_there_are_no_logits():
    def make():
        return models.build("autoencoder", rngs=nnx.Rngs(0), image_shape=(64, 64))

    subject = profile.subject_of("autoencoder", make, (64, 64, 1), "float32")
    assert profile.count(subject).macs > 0
