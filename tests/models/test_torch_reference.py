"""Our numbers against those that PyTorch computed (make_torch_reference.py)."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.models.reference_weights import random_clip, random_tensor
from tests.models.tiny_networks import build_tiny
from ultrasound_jax.models import torch_weights

FIXTURE = Path(__file__).parent / "fixtures" / "torch_reference.json"
REFERENCE = json.loads(FIXTURE.read_text())
NARROW = [n for n in REFERENCE["cases"] if "narrow" in n and not n.endswith("train")]
# Where a training step is compared too, the evaluation is left to the slow suite.
NARROW = [
    pytest.param(n, marks=pytest.mark.slow) if f"{n}_train" in REFERENCE["cases"] else n
    for n in NARROW
]
TRAIN = [n for n in REFERENCE["cases"] if n.endswith("train")]
FULL = [n for n in REFERENCE["cases"] if "narrow" not in n]

# Float32 sums of a hundred layers in another order; a wrong layer is off by 1e-1.
CLOSE = 2e-4


def summary(array):
    flat = np.asarray(array, np.float64).ravel()
    return [flat.mean(), flat.std(), flat @ np.cos(np.arange(flat.size))]


def assert_summaries_agree(ours, theirs, size):
    # The last number is a sum, so its rounding grows with the count of entries.
    mean, spread, total = theirs
    scale = max(spread, abs(mean))
    np.testing.assert_allclose(ours[:2], theirs[:2], atol=CLOSE * scale)
    np.testing.assert_allclose(ours[2], total, atol=CLOSE * scale * size**0.5)


def shape_of(case):
    return (2, case["frames"], *case["pixels"], 3)


def loaded(case, **options):
    network = dict(case["options"])
    name = network.pop("network")
    # Abstract, because every value comes from the state dict.
    model = nnx.eval_shape(lambda: build_tiny(name, **network, **options))
    state = {
        name: random_tensor(name, slot.shape, REFERENCE["seed"])
        for name, slot in torch_weights.expected(model).items()
    }
    torch_weights.load(model, state)
    return model


def check_evaluation(case):
    model = nnx.view(
        loaded(case),
        deterministic=True,
        use_running_average=True,
        raise_if_not_found=False,
    )
    graphdef, values = nnx.split(model)
    clip = jnp.asarray(random_clip(shape_of(case), REFERENCE["seed"]))

    def apply(values, clip):
        return nnx.merge(graphdef, values)(clip)

    out = jax.jit(apply)(values, clip)
    assert set(out) == set(case["outputs"])
    np.testing.assert_allclose(out["logits"], case["logits"], atol=10 * CLOSE)
    for name, theirs in case["outputs"].items():
        array = out[name]
        assert_summaries_agree(summary(array), theirs, array.size)


@pytest.mark.parametrize("name", NARROW)
def test_evaluation_reproduces_pytorch(name):
    check_evaluation(REFERENCE["cases"][name])


@pytest.mark.slow
@pytest.mark.parametrize("name", FULL)
def test_evaluation_at_full_width_reproduces_pytorch(name):
    check_evaluation(REFERENCE["cases"][name])


@pytest.mark.parametrize("name", TRAIN)
def test_a_training_step_reproduces_pytorch(name):
    case = REFERENCE["cases"][name]
    dropout = {"dropout": 0.0} if name.startswith(("luvnet", "c3d", "x3d")) else {}
    model = nnx.view(
        loaded(case, **dropout),
        deterministic=False,
        use_running_average=False,
        raise_if_not_found=False,
    )
    slots = torch_weights.expected(model)
    graphdef, params, stats = nnx.split(model, nnx.Param, ...)
    clip = jnp.asarray(random_clip(shape_of(case), REFERENCE["seed"]))

    @jax.jit
    def step(params, stats):
        def loss(params):
            model = nnx.merge(graphdef, params, stats, copy=True)
            out = model(clip)
            return jnp.square(out["logits"]).mean(), (out, nnx.state(model, ...))

        return jax.grad(loss, has_aux=True)(params)

    gradients, (out, after) = step(params, stats)
    np.testing.assert_allclose(out["logits"], case["logits"], atol=10 * CLOSE)
    for name, theirs in case["outputs"].items():
        assert_summaries_agree(summary(out[name]), theirs, out[name].size)

    nnx.update(model, after)
    for name, theirs in case["running"].items():
        values = slots[name].variable[...]
        assert_summaries_agree(summary(values), theirs, values.size)

    nnx.update(model, gradients)
    ours = {
        name: float(jnp.linalg.norm(slots[name].variable[...].ravel()))
        for name in case["gradient_norms"]
    }
    largest = max(case["gradient_norms"].values())
    for name, theirs in case["gradient_norms"].items():
        assert ours[name] == pytest.approx(theirs, rel=1e-2, abs=1e-5 * largest), name
