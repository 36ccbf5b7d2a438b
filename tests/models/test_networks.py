"""Every network, run small: what it returns, what it learns, what it must not mind."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.models.tiny_networks import (
    ALL,
    FRAMES,
    PATTERNS,
    TEMPORAL,
    assert_training_agrees,
    assert_trees_agree,
    clip_of,
    full_size,
    lengths_of,
    tiny,
)
from ultrasound_jax import models
from ultrasound_jax.models._parts.first_keys import first_keys

# Float32 sums in another order (jit, batch size, remat); a wrong term is 1e-2 and more.
CLOSE = 2e-5

# Compiling these once more takes a while, and what is tested is shared by all.
MORE = [pytest.param(*each, marks=pytest.mark.slow) for each in ALL[4:]]
every_network = pytest.mark.parametrize(("name", "encoder"), ALL)


@every_network
def test_outputs_have_their_shapes_and_types(name, encoder):
    network = tiny(name, encoder)
    out = network.evaluate(clip_of(), lengths_of(4, 2, 1))
    size = network.model.encoder.features if encoder else None
    shapes = {"logits": (3, PATTERNS), "features": (3, FRAMES, size)}
    shapes |= {
        "luvnet": {
            "attention": (3, PATTERNS, 8, FRAMES),
            "temporal": (3, FRAMES, size),
        },
        "luvnet_no_temporal": {"attention": (3, PATTERNS, 8, FRAMES)},
        "frame_vote": {"frame_logits": (3, FRAMES, PATTERNS)},
        "usvn": {"attention": (3, 8, FRAMES)},
        "cnn_lstm": {"temporal": (3, FRAMES, 8)},
        "c3d": {"features": (3, 256), "feature_map": (3, 1, 1, 1, 32)},
        "tiny_r2plus1d": {"features": (3, 8), "feature_map": (3, 2, 5, 5, 8)},
        "tiny_x3d": {"features": (3, 682), "feature_map": (3, FRAMES, 5, 5, 18)},
    }[name]
    assert {key: value.shape for key, value in out.items()} == shapes
    assert all(value.dtype == jnp.float32 for value in out.values())


@pytest.mark.parametrize(
    ("name", "encoder", "parameters"),
    [
        ("luvnet", "densenet161", 136_222_884),
        ("luvnet", "resnet50", 121_046_596),
        ("luvnet_no_temporal", "densenet161", 62_677_188),
        pytest.param("usvn", "densenet161", 26_483_044, marks=pytest.mark.slow),
        ("usvn", "resnet50", 23_518_276),
        pytest.param("cnn_lstm", "densenet161", 28_759_792, marks=pytest.mark.slow),
        pytest.param("cnn_lstm", "resnet50", 25_747_824, marks=pytest.mark.slow),
        ("c3d", None, 214_327_044),
        ("r2plus1d_18", None, 33_176_989),
        pytest.param("r2plus1d_34", None, 63_510_749, marks=pytest.mark.slow),
        # torchvision's counts with a classifier of 4 in place of 1000 classes.
        ("frame_vote", "resnet18", 11_689_512 - 996 * 513),
        ("frame_vote", "densenet121", 7_978_856 - 996 * 1025),
    ],
)
def test_parameters_are_as_many_as_published(name, encoder, parameters):
    params = jax.tree.leaves(nnx.state(full_size(name, encoder), nnx.Param))
    assert sum(math.prod(param.shape) for param in params) == parameters
    assert all(param.dtype == jnp.float32 for param in params)


@every_network
def test_only_parameters_and_batch_statistics_are_state(name, encoder):
    state = nnx.state(tiny(name, encoder).model)
    kinds = {type(variable) for _, variable in nnx.to_flat_state(state)}
    assert kinds == ({nnx.Param} if name == "c3d" else {nnx.Param, nnx.BatchStat})


@every_network
def test_every_parameter_gets_a_gradient(name, encoder):
    _, gradients, _ = tiny(name, encoder).train(clip_of(), lengths_of(4, 2, 1))
    for path, gradient in jax.tree.leaves_with_path(gradients):
        assert np.isfinite(gradient).all(), path
        assert np.abs(gradient).max() > 0, path


@every_network
def test_evaluation_is_deterministic(name, encoder):
    network, clip, lengths = tiny(name, encoder), clip_of(), lengths_of(4, 2, 1)
    out = network.evaluate(clip, lengths)
    assert_trees_agree(network.evaluate(clip, lengths), out, 0)


@pytest.mark.parametrize(("name", "encoder"), [ALL[0], ALL[1], *MORE])
def test_jit_equals_eager(name, encoder):
    network, clip, lengths = tiny(name, encoder), clip_of(), lengths_of(4, 2, 1)
    eager = network.evaluate(clip, lengths, compiled=False)
    assert_trees_agree(network.evaluate(clip, lengths), eager, CLOSE)


@every_network
def test_a_batch_of_one_equals_its_row(name, encoder):
    network, clip, lengths = tiny(name, encoder), clip_of(), lengths_of(4, 2, 1)
    row = jax.tree.map(lambda a: a[1:2], network.evaluate(clip, lengths))
    alone = network.evaluate(clip[1:2], lengths[1:2])
    assert_trees_agree(alone, row, CLOSE)


@every_network
def test_only_temporal_networks_react_to_the_order_of_frames(name, encoder):
    network, clip, lengths = tiny(name, encoder), clip_of(), lengths_of(4, 4, 4)
    forward = network.evaluate(clip, lengths)["logits"]
    backward = network.evaluate(clip[:, ::-1], lengths)["logits"]
    if name in TEMPORAL:
        assert np.abs(forward - backward).max() > 1e-3 * np.abs(forward).max()
    else:
        np.testing.assert_allclose(forward, backward, atol=1e-5)


@every_network
def test_padding_does_not_change_an_evaluation(name, encoder):
    network, clip = tiny(name, encoder), clip_of()
    short = network.evaluate(clip[:2, :2])
    garbage = clip.at[:, 2:].set(jnp.nan).at[2].set(jnp.inf)
    padded = network.evaluate(garbage, lengths_of(2, 2, 0))
    for key, value in padded.items():
        value = value[:2]
        for axis, size in enumerate(short[key].shape):
            # Frames, or steps of frames, that only the padded clip has.
            value = jax.lax.slice_in_dim(value, 0, size, axis=axis)
        assert_trees_agree(value, short[key], CLOSE)


@every_network
def test_padding_does_not_change_a_training_step(name, encoder):
    network = tiny(name, encoder)

    def padded(clip):
        garbage = clip.at[:, 2:].set(jnp.nan).at[2].set(jnp.inf)
        out, gradients, stats = network.train(garbage, lengths_of(2, 2, 0))
        return out["logits"][:2], gradients, stats

    def without_padding(clip):
        out, gradients, stats = network.train(clip[:2, :2])
        return out["logits"], gradients, stats

    assert_training_agrees(padded, without_padding)


@every_network
def test_a_batch_of_filling_rows_is_finite_and_moves_nothing(name, encoder):
    network = tiny(name, encoder)
    out, gradients, stats = network.train(clip_of(), lengths_of(0, 0, 0))
    assert_trees_agree(stats, network.stats(), 0)
    for value in jax.tree.leaves((out, gradients)):
        assert np.isfinite(value).all()
    assert not any(np.abs(g).max() for g in jax.tree.leaves(gradients))


def test_full_lengths_equal_no_lengths():
    network = tiny("luvnet", "tiny_dense")
    full = lengths_of(4, 4, 4)
    assert_training_agrees(lambda clip: network.train(clip, full), network.train)


def test_no_lengths_add_no_masking_to_the_program():
    network = tiny("luvnet", "tiny_dense")
    assert "select_n" not in network.program(None)
    assert "select_n" in network.program(lengths_of(4, 2, 0))


@pytest.mark.parametrize(("name", "encoder"), [ALL[0], ALL[3], *MORE])
def test_rematerialising_changes_no_value_gradient_or_statistic(name, encoder):
    plain, remat = tiny(name, encoder), tiny(name, encoder, remat=True)
    lengths = lengths_of(4, 2, 1)
    assert_training_agrees(
        lambda clip: remat.train(clip, lengths), lambda clip: plain.train(clip, lengths)
    )


def test_rematerialising_is_in_the_program_once_a_block():
    def checkpoints(**options):
        return (
            tiny("luvnet", "tiny_dense", **options).program(None).count("prevent_cse")
        )

    assert checkpoints() == 0
    assert checkpoints(remat=True) == 6  # the stem, four dense layers, a transition


@every_network
def test_bfloat16_is_near_float32(name, encoder):
    clip, lengths = clip_of(), lengths_of(4, 2, 1)
    exact = tiny(name, encoder).evaluate(clip, lengths)
    out = tiny(name, encoder, dtype="bfloat16").evaluate(clip, lengths)
    # bfloat16 has 8 bits: 0.4 % a rounding, some tens of roundings deep.
    scale = np.abs(exact["logits"]).max()
    np.testing.assert_allclose(out["logits"], exact["logits"], atol=0.1 * scale)
    assert out["features"].dtype == jnp.bfloat16
    for key in out.keys() - {"features", "temporal", "feature_map"}:
        assert out[key].dtype == jnp.float32


def test_bfloat16_keeps_gradients_and_statistics_in_float32():
    network = tiny("luvnet", "tiny_dense", dtype="bfloat16")
    _, gradients, stats = network.train(clip_of(), lengths_of(4, 2, 1))
    for value in jax.tree.leaves((gradients, stats)):
        assert value.dtype == jnp.float32
        assert np.isfinite(value).all()


def equations_of(jaxpr):
    for equation in jaxpr.eqns:
        yield equation
        inner = (*equation.params.get("branches", ()),)
        if "call_jaxpr" in equation.params:  # an operation with a gradient of its own
            inner = (equation.params["call_jaxpr"],)
        for program in inner:
            yield from equations_of(program.jaxpr)


def test_bfloat16_convolutions_and_products_really_take_bfloat16():
    network = tiny("luvnet", "tiny_dense", dtype="bfloat16")
    graphdef, values = nnx.split(network.model.encoder)
    image = clip_of()[0]
    program = jax.make_jaxpr(lambda v, i: nnx.merge(graphdef, v)(i))(values, image)
    heavy = [
        equation
        for equation in equations_of(program.jaxpr)
        if equation.primitive.name in ("conv_general_dilated", "dot_general")
    ]
    # The stem, four dense layers of two, a transition; two of the convolutions see 2x2
    # pixels and are there twice, for CPUs and for other devices.
    assert len(heavy) == 12
    for equation in heavy:
        assert {v.aval.dtype for v in equation.invars} == {jnp.dtype("bfloat16")}


def test_dropout_follows_the_key_of_the_call():
    model = tiny("luvnet", "tiny_dense", dropout=0.5).model
    assert model.dropout.rate == 0.5
    network = nnx.view(model, deterministic=False, use_running_average=True)
    graphdef, values = nnx.split(network)

    @jax.jit
    def logits(key):
        rngs = nnx.Rngs(dropout=key)
        return nnx.merge(graphdef, values)(clip_of(), rngs=rngs)["logits"]

    first, again, other = (logits(jax.random.key(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_attention_is_shared_among_the_real_frames_only():
    network = tiny("luvnet", "tiny_dense")
    attention = network.evaluate(clip_of(), lengths_of(4, 2, 0))["attention"]
    np.testing.assert_allclose(attention[:2].sum(-1), 1, atol=1e-6)
    assert (attention[0] > 0).all()
    assert (attention[1, ..., 2:] == 0).all()
    assert (attention[2] == 0).all()


@pytest.mark.parametrize(("pooling", "pool"), [("mean", np.mean), ("max", np.max)])
def test_the_clip_votes_with_its_real_frames(pooling, pool):
    network = tiny("frame_vote", "tiny_basic", pooling=pooling)
    out = network.evaluate(clip_of(), lengths_of(4, 2, 0))
    frames = np.asarray(out["frame_logits"])
    hand = [pool(frames[0], 0), pool(frames[1, :2], 0), np.zeros(PATTERNS)]
    np.testing.assert_allclose(out["logits"], hand, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("luvnett", {}, "luvnett.*frame_vote, fusionlungnet.*luvnet, luvnet_no_"),
        ("luvnet", {"head": 8}, "'head'.*heads"),
        ("luvnet_no_temporal", {"kernel_size": 13}, "'kernel_size'.*patterns"),
        ("luvnet", {"encoder": "vgg"}, "vgg.*densenet121"),
        ("luvnet", {"kernel_size": 4}, "kernel_size=4.*odd"),
        ("luvnet", {"heads": 7}, "heads=7.*64"),
        ("luvnet", {"heads": 0}, "heads=0"),
        ("luvnet", {"dropout": 1.0}, "dropout=1.0"),
        ("luvnet", {"width": 7}, "width=7.*even"),
        ("luvnet", {"channels": 0}, "channels=0"),
        ("luvnet", {"dtype": "float16"}, "float16.*float32, bfloat16"),
        ("luvnet", {"grey_scale": (1.0, 1.0)}, "grey_scale"),
        ("luvnet", {"channels": 1, "grey_offset": (1.0,)}, "grey_offset"),
        ("frame_vote", {"pooling": "median"}, "median.*max or mean"),
        ("frame_vote", {"patterns": 0}, "patterns=0"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(name, options, words):
    options = {"encoder": "resnet18", "width": 8, **options}
    with pytest.raises(models.ModelError, match=words) as error:
        nnx.eval_shape(lambda: models.build(name, **options, rngs=first_keys(0)))
    assert "\n" not in str(error.value)
