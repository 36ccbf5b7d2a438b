"""What a PyTorch state dict must look like, and what happens if it does not."""

import hashlib
import re

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

from tests.models.reference_weights import random_tensor
from tests.models.tiny_networks import build_tiny, full_size
from ultrasound_jax import models
from ultrasound_jax.models import torch_weights
from ultrasound_jax.models._parts.encoders import build_encoder
from ultrasound_jax.models._parts.first_keys import first_keys


def abstract(name="luvnet", encoder="tiny_basic"):
    """A network without values; every one comes from the state dict."""
    return nnx.eval_shape(lambda: build_tiny(name, encoder))


def state_for(model, part="all"):
    return {
        name: random_tensor(name, slot.shape, 0)
        for name, slot in torch_weights.expected(model, part=part).items()
    }


def encoder_values(model):
    return dict(nnx.to_flat_state(nnx.state(model.encoder)))


# Digests of the names and shapes of the original's own state dicts.
@pytest.mark.parametrize(
    ("name", "encoder", "digest"),
    [
        ("luvnet", "densenet161", "dfbd574e2ca5e0c2"),
        ("luvnet", "resnet50", "0106cc3a631a8747"),
        ("luvnet_no_temporal", "densenet161", "6ebef10867f90bec"),
        pytest.param("usvn", "densenet161", "8e3a3c8af9040178", marks=pytest.mark.slow),
        pytest.param(
            "cnn_lstm", "densenet161", "a02a3d9e59cd50f6", marks=pytest.mark.slow
        ),
        ("c3d", None, "473a7a990649dddd"),
        ("r2plus1d_18", None, "e1edf0e960bd7888"),
        pytest.param("r2plus1d_34", None, "6c6b49cebb4eb65c", marks=pytest.mark.slow),
    ],
)
def test_names_and_shapes_are_the_originals(name, encoder, digest):
    # The original's C3D of the list is for clips of 16 frames of 112x112.
    options = {"clip_shape": (16, 112, 112)} if name == "c3d" else {}
    slots = torch_weights.expected(full_size(name, encoder, **options))
    lines = sorted(f"{key} {list(slot.shape)}" for key, slot in slots.items())
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] == digest


def test_a_load_reports_what_it_did():
    model = abstract()
    state = state_for(model)
    state["encoder.bn1.num_batches_tracked"] = np.array(7)
    report = torch_weights.load(model, state)
    assert report.tensors == len(state) - 1
    assert report.ignored == {"num_batches_tracked": 1}
    assert str(report).startswith(f"loaded {len(state) - 1} tensors (")
    assert "ignored 1 of num_batches_tracked" in str(report)
    assert "\n" not in str(report)


def test_an_encoder_loads_from_a_whole_model_into_another():
    source, target = abstract("luvnet"), abstract("frame_vote")
    state = state_for(source)
    torch_weights.load(source, state)
    report = torch_weights.load(target, state, part="encoder")
    assert {"attn_query_vecs", "attn_fc", "conv1d", "fc_out_final"} == set(
        report.ignored
    )
    ours, theirs = encoder_values(target), encoder_values(source)
    assert ours.keys() == theirs.keys()
    for path, value in ours.items():
        np.testing.assert_array_equal(value[...], theirs[path][...])


def test_an_encoder_loads_from_the_cnn_of_a_cnn_lstm():
    source, target = abstract("cnn_lstm"), abstract("usvn")
    state = state_for(source)
    torch_weights.load(source, state)
    report = torch_weights.load(target, state, part="encoder")
    assert report.ignored == {"fc": 2, "lstm": 12, "fc2": 2}
    ours, theirs = encoder_values(target), encoder_values(source)
    for path, value in ours.items():
        np.testing.assert_array_equal(value[...], theirs[path][...])


def test_a_network_without_an_encoder_says_so():
    model = nnx.eval_shape(lambda: build_tiny("tiny_x3d", width=8))
    with pytest.raises(models.ModelError, match="'encoder' of TinyX3D.*allowed is all"):
        torch_weights.load(model, {}, part="encoder")


@pytest.mark.parametrize(
    ("encoder", "head"), [("tiny_basic", "fc"), ("tiny_dense", "classifier")]
)
def test_a_bare_imagenet_encoder_loads_without_its_head(encoder, head):
    model = abstract(encoder=encoder)
    state = state_for(model, part="encoder")
    assert not any(name.startswith("encoder.") for name in state)
    tensors = len(state)
    state[f"{head}.weight"] = np.zeros((1000, 64), np.float32)
    state[f"{head}.bias"] = np.zeros(1000, np.float32)
    report = torch_weights.load(model, state, part="encoder")
    assert (report.tensors, report.ignored) == (tensors, {head: 2})


def test_the_names_of_the_first_torchvision_densenets_are_known():
    model, other = abstract(encoder="tiny_dense"), abstract(encoder="tiny_dense")
    state = state_for(model, part="encoder")
    old = {
        re.sub(r"(layer\d+\.(?:norm|conv))(\d)", r"\1.\2", n): v
        for n, v in state.items()
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch_weights.load(model, state, part="encoder")
    torch_weights.load(other, old, part="encoder")
    theirs = encoder_values(model)
    for path, value in encoder_values(other).items():
        np.testing.assert_array_equal(value[...], theirs[path][...])


def test_a_one_channel_stem_sums_the_kernels_over_colours():
    model = nnx.eval_shape(
        lambda: build_encoder(
            "resnet18", models.Given(first_keys(0), channels=1), width=8
        )
    )
    colour = random_tensor("conv1.weight", (8, 3, 7, 7), 0)
    torch_weights.load(model, {**state_for(model), "conv1.weight": colour})
    ours = np.moveaxis(np.asarray(model.stem.conv.kernel[...]), (3, 2), (0, 1))
    np.testing.assert_allclose(ours, colour.sum(1, keepdims=True), atol=1e-6)


def wrong_shape(state):
    state["conv1d.0.weight"] = np.zeros((16, 16, 5), np.float32)


def missing(state):
    for name in [name for name in state if ".layer2." in name]:
        del state[name]


def unexpected(state):
    state["encoder.layer9.weight"] = np.zeros(3, np.float32)


def not_finite(state):
    state["attn_fc.0.bias"] = np.full(4096, np.nan, np.float32)


def integers(state):
    state["attn_fc.0.bias"] = np.zeros(4096, np.int64)


def stray_counter(state):
    state["encoder.layer9.num_batches_tracked"] = np.array(1)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            wrong_shape,
            r"wrong 1 \(conv1d.0.weight is \(16, 16, 5\), not \(16, 16, 13\)",
        ),
        (missing, r"missing 15 \(encoder.layer2.0.conv1.weight, .* and 10 more\)"),
        (unexpected, r"unexpected 1 \(encoder.layer9.weight\)"),
        (not_finite, r"attn_fc.0.bias is not finite"),
        (integers, r"attn_fc.0.bias is int64, not floating"),
        (stray_counter, r"unexpected 1 \(encoder.layer9.num_batches_tracked\)"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_nothing_is_filled(spoil, words):
    model = abstract()
    state = state_for(model)
    spoil(state)
    with pytest.raises(models.ModelError, match=words) as error:
        torch_weights.load(model, state, source="folder/weights.safetensors")
    assert str(error.value).startswith("folder/weights.safetensors does not fit LuvNet")
    assert "\n" not in str(error.value)
    variables = [variable for _, variable in nnx.to_flat_state(nnx.state(model))]
    assert not any(isinstance(v.get_value(), jnp.ndarray) for v in variables)


def test_an_encoder_is_not_taken_for_a_whole_model():
    model = abstract()
    with pytest.raises(models.ModelError, match="missing.*unexpected"):
        torch_weights.load(model, state_for(model, part="encoder"))


def test_files_other_than_safetensors_are_refused_by_name(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(models.ModelError, match=r"weights\.pth.*safetensors"):
        torch_weights.read_safetensors(path)
    with pytest.raises(models.ModelError, match=r"absent\.safetensors"):
        torch_weights.read_safetensors(tmp_path / "absent.safetensors")


def test_a_safetensors_file_fills_a_model(tmp_path):
    model = abstract("frame_vote")
    state = {name: np.ascontiguousarray(v) for name, v in state_for(model).items()}
    save_file(state, tmp_path / "weights.safetensors")
    loaded = torch_weights.read_safetensors(tmp_path / "weights.safetensors")
    torch_weights.load(model, loaded)
    np.testing.assert_array_equal(model.classifier.kernel[...], state["fc.weight"].T)
