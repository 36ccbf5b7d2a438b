import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from tests.tasks.made import clip_spec, image_spec
from ultrasound_jax import experiment as experiments
from ultrasound_jax import models, tasks
from ultrasound_jax.training import sharding, steps

TASK = tasks.build(
    "multilabel", clip_spec(("a", "b", "c", "d"), frames=4, side=32), options={}
)


def network(**options):
    options = {"encoder": "resnet18", "width": 8, "patterns": 4, "heads": 4} | options
    model = models.build("luvnet", kernel_size=3, rngs=nnx.Rngs(0), **options)
    return steps.split(model)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return {
        "clip": rng.integers(0, 255, (8, 4, 32, 32, 1), np.uint8),
        "clip_length": np.array([4, 4, 3, 4, 2, 4, 4, 1], np.int32),
        "labels": rng.integers(-1, 2, (8, 4)).astype(np.int8),
        "index": np.arange(8, dtype=np.int32),
    }


def unchanged(fields, roles, key):
    return fields


def run(rows, *, devices=1, count=3, accumulate=1, optimizer=None, ema=0.0, **options):
    """Makes `count` steps and returns the states' parameters and the losses."""
    mesh = jax.sharding.Mesh(jax.devices()[:devices], ("data",))
    optimizer = optimizer or optax.sgd(0.05)
    net, params, stats = network(**options)
    state = steps.init_state(params, stats, optimizer, averaged=ema > 0)
    state = sharding.replicate(state, mesh)
    step = steps.make_train_step(
        net,
        TASK,
        optimizer,
        augment=unchanged,
        seed=0,
        accumulate=accumulate,
        ema=ema,
    )
    compiled = steps.compile_train_step(step, state, rows, mesh)
    losses = []
    for _ in range(count):
        state, terms = compiled(state, sharding.to_device(rows, mesh), jnp.float32(1.0))
        losses.append(float(terms["loss"]))
    return state, losses, terms


def test_the_loss_falls_on_eight_fixed_examples(rows):
    _, losses, _ = run(rows, count=40, optimizer=optax.adam(1e-3), dropout=0.0)
    assert losses[-1] < 0.3 * losses[0]


def test_four_devices_compute_what_one_does(rows):
    # Dropout's mask does not depend on the number of devices either.
    one, one_losses, _ = run(rows, devices=1)
    four, four_losses, _ = run(rows, devices=4)
    # Sums in another order, amplified over three steps of a batch-normed network.
    np.testing.assert_allclose(four_losses, one_losses, rtol=2e-4)
    for a, b in zip(
        jax.tree.leaves(one.params), jax.tree.leaves(four.params), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=2e-4)


def test_a_batch_is_split_and_the_state_is_not(rows):
    mesh = jax.sharding.Mesh(jax.devices()[:4], ("data",))
    clip = sharding.to_device(rows, mesh)["clip"]
    assert {s.data.shape[0] for s in clip.addressable_shards} == {2}
    state, _, _ = run(rows, devices=4, count=1)
    assert all(p.sharding.is_fully_replicated for p in jax.tree.leaves(state))


def test_the_step_is_compiled_once(rows):
    traces = []
    net, params, stats = network()
    optimizer = optax.sgd(0.1)
    mesh = jax.sharding.Mesh(jax.devices()[:1], ("data",))

    def augment(fields, roles, key):
        traces.append(1)
        return fields

    step = steps.make_train_step(net, TASK, optimizer, augment=augment, seed=0)
    state = sharding.replicate(
        steps.init_state(params, stats, optimizer, averaged=False), mesh
    )
    compiled = steps.compile_train_step(step, state, rows, mesh)
    for _ in range(3):
        state, _ = compiled(state, sharding.to_device(rows, mesh), jnp.float32(1))
    assert len(traces) == 1


def test_the_old_state_is_donated(rows):
    net, params, stats = network()
    optimizer = optax.sgd(0.1)
    mesh = jax.sharding.Mesh(jax.devices()[:1], ("data",))
    state = sharding.replicate(
        steps.init_state(params, stats, optimizer, averaged=False), mesh
    )
    step = steps.make_train_step(net, TASK, optimizer, augment=unchanged, seed=0)
    compiled = steps.compile_train_step(step, state, rows, mesh)
    compiled(state, sharding.to_device(rows, mesh), jnp.float32(1))
    assert all(p.is_deleted() for p in jax.tree.leaves(state.params))


def test_accumulated_gradients_are_the_whole_batchs(rows):
    """With statistics frozen by a batch of equal halves, two halves make a whole."""
    half = {k: v[:4] for k, v in rows.items()}
    doubled = {k: np.repeat(v, 2, axis=0) for k, v in half.items()}
    whole, whole_loss, _ = run(half, count=1, dropout=0.0)
    parts, parts_loss, terms = run(doubled, count=1, accumulate=2, dropout=0.0)
    np.testing.assert_allclose(parts_loss, whole_loss, rtol=1e-5)
    for a, b in zip(
        jax.tree.leaves(whole.params), jax.tree.leaves(parts.params), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-5)
    np.testing.assert_allclose(
        terms["loss_per_example"][::2], terms["loss_per_example"][1::2], rtol=1e-5
    )


def test_the_average_follows_its_formula(rows):
    first, _, _ = run(rows, count=1, ema=0.9)
    _, before, _ = network()
    start = jax.tree.leaves(before)
    new = jax.tree.leaves(first.params)
    averaged = jax.tree.leaves(steps.evaluated(first)[0])
    for a, s, n in zip(averaged, start, new, strict=True):
        np.testing.assert_allclose(a, 0.9 * s + 0.1 * n, atol=1e-6)


def test_a_scaled_rate_scales_the_step(rows):
    net, params, stats = network(dropout=0.0)
    optimizer = optax.sgd(0.1)
    state = steps.init_state(params, stats, optimizer, averaged=False)
    step = jax.jit(
        steps.make_train_step(net, TASK, optimizer, augment=unchanged, seed=0)
    )
    moves = []
    for scale in (1.0, 0.5):
        new, _ = step(state, {k: jnp.asarray(v) for k, v in rows.items()}, scale)
        moves.append(jax.tree.map(lambda n, o: n - o, new.params, state.params))
    for whole, half in zip(*map(jax.tree.leaves, moves), strict=True):
        # A difference of two float32 parameters of magnitude up to 3.
        np.testing.assert_allclose(half, 0.5 * whole, atol=5e-7)


def test_evaluation_leaves_statistics_alone_and_ignores_filling_rows(rows):
    net, params, stats = network()
    step = jax.jit(steps.make_eval_step(net, TASK))
    out, _ = step(params, stats, rows)
    filled = {k: v.copy() for k, v in rows.items()}
    filled["clip_length"][6:] = 0
    filled["labels"][6:] = -1
    shorter, terms = step(params, stats, filled)
    np.testing.assert_allclose(shorter["scores"][:6], out["scores"][:6], atol=1e-6)
    assert np.isfinite(shorter["scores"]).all()
    assert float(terms["cross_entropy"][1]) == (rows["labels"][:6] >= 0).sum()


def test_bfloat16_trains_close_to_float32(rows):
    _, full, _ = run(rows, count=1, dropout=0.0)
    state, half, _ = run(rows, count=1, dropout=0.0, dtype=jnp.bfloat16)
    assert half[0] == pytest.approx(full[0], rel=0.05)
    assert {p.dtype for p in jax.tree.leaves(state.params)} == {np.dtype("float32")}


def test_a_step_over_the_limit_is_refused_with_the_numbers(rows):
    net, params, stats = network()
    optimizer = optax.sgd(0.1)
    mesh = jax.sharding.Mesh(jax.devices()[:1], ("data",))
    state = steps.init_state(params, stats, optimizer, averaged=False)
    step = steps.make_train_step(net, TASK, optimizer, augment=unchanged, seed=0)
    memory = steps.memory_bytes(steps.compile_train_step(step, state, rows, mesh))
    assert memory["temporary"] > 0
    steps.check_memory(memory, memory["total"])
    with pytest.raises(steps.StepError, match=r"does not fit.*temporary 0\.\d+"):
        steps.check_memory(memory, memory["total"] - 1)


def test_a_batch_that_devices_cannot_share_is_refused():
    mesh = jax.sharding.Mesh(jax.devices()[:4], ("data",))
    sharding.check_batch("config.data.batch_size", 8, mesh, parts=2)
    with pytest.raises(sharding.ShardingError, match="multiple of 8"):
        sharding.check_batch("config.data.batch_size", 12, mesh, parts=2)


def test_the_grey_clip_is_normalised_like_imagenet(tiny_config):
    """The folded normalisation equals three normalised copies of the clip."""
    about = experiments.network_settings(tiny_config)
    model = experiments.make_network(about, TASK, seed=tiny_config.seed)
    plain = models.build(
        "luvnet",
        encoder="resnet18",
        width=8,
        patterns=4,
        heads=4,
        kernel_size=3,
        rngs=nnx.Rngs(tiny_config.seed),
    )
    views = [
        nnx.view(m, deterministic=True, use_running_average=True)
        for m in (model, plain)
    ]
    grey = jax.random.uniform(jax.random.key(0), (1, 2, 32, 32, 1))
    mean, std = (jnp.array(values) for values in models.normalisation("luvnet"))
    folded = views[0](grey)["logits"]
    copied = views[1]((jnp.repeat(grey, 3, axis=-1) - mean) / std)["logits"]
    np.testing.assert_allclose(folded, copied, rtol=1e-4, atol=1e-5)


def test_the_terms_of_a_loss_are_told_by_name_and_add_up():
    task = tasks.build("segmentation", image_spec(("x",), side=8), options={})
    net, params, stats = steps.split(
        models.build("unet", width=4, depth=1, patterns=1, channels=1, rngs=nnx.Rngs(0))
    )
    rng = np.random.default_rng(0)
    rows = {
        "image": rng.integers(0, 255, (4, 8, 8, 1), np.uint8),
        "mask": rng.integers(0, 2, (4, 8, 8, 1), np.uint8),
        "index": np.array([0, 1, 2, -1], np.int32),
    }
    found = []
    for accumulate in (1, 2):
        state = steps.init_state(params, stats, optax.sgd(0.1), averaged=False)
        step = steps.make_train_step(
            net,
            task,
            optax.sgd(0.1),
            augment=unchanged,
            seed=0,
            accumulate=accumulate,
        )
        _, terms = jax.jit(step)(state, rows, 1.0)
        named = {k: v for k, v in terms.items() if k.startswith("loss_")}
        del named["loss_per_example"]
        assert set(named) == {"loss_cross_entropy", "loss_dice"}
        np.testing.assert_allclose(sum(named.values()), terms["loss"], rtol=1e-6)
        assert float(terms["loss_per_example"][3]) == 0, "a row that only fills"
        np.testing.assert_allclose(
            terms["loss_per_example"].sum() / 3, terms["loss"], rtol=1e-5
        )
        found.append(terms["loss"])


class Answers(nnx.Module):
    """Returns what it is told to, of the rows and sides of a clip."""

    def __init__(self, answer):
        self.answer, self.bias = answer, nnx.Param(jnp.zeros(1))

    def __call__(self, clip, lengths=None, *, rngs=None):
        return self.answer(clip + self.bias[...])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda clip: {"out": clip}, r"returns out; it must be a dict with 'logits'"),
        (lambda clip: clip, "it must be a dict with 'logits' (8, 4)"),
        (lambda clip: {"logits": clip[:, 0, 0, 0]}, "are (8, 1); of this task"),
        (lambda clip: {"logits": clip[:, 0, :, :4, 0]}, "are (8, 32, 4); of this"),
    ],
)
def test_logits_that_would_be_broadcast_are_refused(rows, answer, said):
    net, params, stats = steps.split(Answers(answer))
    optimizer = optax.sgd(0.1)
    state = steps.init_state(params, stats, optimizer, averaged=False)
    step = steps.make_train_step(net, TASK, optimizer, augment=unchanged, seed=0)
    with pytest.raises(steps.StepError, match=re.escape(said)):
        jax.eval_shape(step, state, rows, jnp.float32(1))
    with pytest.raises(steps.StepError, match=re.escape(said)):
        jax.eval_shape(steps.make_eval_step(net, TASK), params, stats, rows)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda clip: clip[:, :, ::2, ::2], "'clip' is float32 (8, 4, 16, 16, 1)"),
        (lambda clip: (255 * clip).astype(jnp.uint8), "'clip' is uint8 (8, 4, 32"),
        (None, "field 'clip' is gone"),
    ],
)
def test_an_augmentation_that_evaluation_would_not_know_is_refused(rows, change, said):
    def augment(fields, roles, key):
        rest = {name: field for name, field in fields.items() if name != "clip"}
        return rest | {"clip": change(fields["clip"])} if change else rest

    net, params, stats = network()
    optimizer = optax.sgd(0.1)
    state = steps.init_state(params, stats, optimizer, averaged=False)
    step = steps.make_train_step(net, TASK, optimizer, augment=augment, seed=0)
    with pytest.raises(steps.StepError, match=re.escape(said)):
        jax.eval_shape(step, state, rows, jnp.float32(1))


def test_mirrored_answers_are_the_mean_of_a_clip_and_its_mirror_image(rows):
    net, params, stats = network()
    rows = jax.tree.map(jnp.asarray, rows)
    fields = TASK.floats(rows)
    swapped = fields | {"clip": fields["clip"][..., ::-1, :]}

    def looked(given, **options):
        return steps.answers(net, TASK, params, stats, given, **options)

    both = [looked(given)["logits"] for given in (fields, swapped)]
    found = looked(fields, mirrored=True)
    np.testing.assert_allclose(found["logits"], (both[0] + both[1]) / 2, atol=1e-6)
    assert np.abs(both[0] - both[1]).max() > 1e-4
    again = looked(swapped, mirrored=True)["logits"]
    np.testing.assert_allclose(again, found["logits"], atol=1e-6)
    plain = looked(fields)
    np.testing.assert_array_equal(found["features"], plain["features"])
    kept, _ = steps.make_eval_step(net, TASK, mirrored=True)(params, stats, rows)
    scores = jax.nn.sigmoid(found["logits"])
    np.testing.assert_allclose(kept["scores"], scores, atol=1e-6)
