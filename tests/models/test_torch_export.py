"""What is written for PyTorch is read back bit for bit, whatever the network."""

import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from tests.models.reference_weights import random_tensor
from ultrasound_jax import models
from ultrasound_jax.models import torch_export, torch_weights
from ultrasound_jax.models._parts.checks import ModelError
from ultrasound_jax.models._parts.first_keys import first_keys
from ultrasound_jax.models._parts.layers import Layout

CLIP = {"clip_shape": (16, 32, 32)}
FRAMES = {"encoder": "resnet18", "width": 8}
SMALL = {
    "autoencoder": {"width": 2, "code": 6, "image_shape": (32, 32)},
    "breast_cnn": {"width": 2, "image_shape": (32, 48)},
    "c3d": CLIP | {"width": 4},
    "cnn_lstm": FRAMES | {"embedding": 8, "hidden": 8, "layers": 2},
    "densenet121": {"width": 8},
    "densenet161": {"width": 8},
    "efficientnet_lite0": {"image_shape": (32, 32)},
    "frame_vote": FRAMES,
    "image_classifier": FRAMES,
    "luvnet": FRAMES | {"heads": 4, "kernel_size": 3},
    "luvnet_no_temporal": FRAMES | {"heads": 4},
    "mvit_v1_b": CLIP | {"width": 8},
    "mvit_v2_s": CLIP | {"width": 8},
    "r2plus1d_18": {"width": 4},
    "r2plus1d_34": {"width": 4},
    "resnet18": {"width": 8},
    "resnet18_mlp": {"width": 8, "hidden": 6},
    "resnet50": {"width": 8},
    "resnet_attention": {"width": 8},
    "unet": {"image_shape": (32, 32)},
    "mednext": {"width": 4},
    "fusionlungnet": {"width": 4},
    "breast_segnet": {"width": 4, "kernel_size": 3, "skips": True},
    "usvn": FRAMES | {"heads": 4},
    "vivit": CLIP | {"heads": 2, "dim": 12, "depth": 1, "dim_head": 4, "patch": 8},
    "x3d_s": {"width": 8},
}


def test_every_shipped_network_is_tried():
    assert set(SMALL) == set(models.names())


@pytest.mark.parametrize("name", SMALL)
def test_a_network_survives_the_way_to_a_file_and_back(name, tmp_path):
    one, other = (
        nnx.eval_shape(lambda: models.build(name, **SMALL[name], rngs=first_keys(0)))
        for _ in range(2)
    )
    drawn = {
        key: random_tensor(key, slot.shape, 0)
        for key, slot in torch_weights.expected(one).items()
    }
    torch_weights.load(one, drawn)
    save_file(torch_export.state_of(one), tmp_path / "w.safetensors")
    written = load_file(tmp_path / "w.safetensors")
    torch_weights.load(other, written)
    assert written.keys() == drawn.keys()
    ours = dict(nnx.to_flat_state(nnx.state(one, torch_weights.TENSORS)))
    theirs = dict(nnx.to_flat_state(nnx.state(other, torch_weights.TENSORS)))
    assert ours.keys() == theirs.keys() and ours
    for path, value in ours.items():
        np.testing.assert_array_equal(value.get_value(), theirs[path].get_value())
    for key, value in drawn.items():
        np.testing.assert_array_equal(value, written[key])


def test_the_kernels_lie_as_pytorch_has_them():
    model = models.build("resnet18", width=8, rngs=nnx.Rngs(0))
    state = torch_export.state_of(model)
    kernel = np.asarray(model.encoder.stem.conv.kernel.get_value())  # h w in out
    np.testing.assert_array_equal(state["conv1.weight"], kernel.transpose(3, 2, 0, 1))


class Halved(nnx.Module):
    """Keeps half of what PyTorch has, so that nobody can write the whole."""

    def __init__(self):
        self.weight = nnx.Param(np.zeros((2, 2), np.float32))

    def torch_layout(self):
        return {"weight": Layout("weight", (4, 2), lambda value: value[:2])}


def test_a_layout_that_loses_numbers_is_refused():
    with pytest.raises(ModelError, match="weight: its `torch_layout` cannot be turned"):
        torch_export.state_of(Halved())
