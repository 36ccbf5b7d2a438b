"""What the original networks call their parameters, one table a class.

A table is a list of (pattern, name) that is applied in turn to our own path, written
with dots and relative to the module of that class. In a name `\\1` is a group as it
stands, `<0>` the first one counted from 1 (the originals count so), `<0+2>` the first
one plus 2, and `<head>` what the encoder of the module calls its classifier. A network
adds an entry, nothing else.
"""

import re
from collections.abc import Mapping, Sequence

from flax import nnx

from ultrasound_jax.models._parts.pooling_attention import (
    PoolingAttention,
    TokenPool,
)
from ultrasound_jax.models.c3d import C3D
from ultrasound_jax.models.cnn_lstm import CnnLstm
from ultrasound_jax.models.densenet import DenseNet
from ultrasound_jax.models.frame_vote import FrameVote
from ultrasound_jax.models.luvnet import LuvNet, LuvNetNoTemporal
from ultrasound_jax.models.mvit import Block, MViTv1B, MViTv2S
from ultrasound_jax.models.r2plus1d import (
    FactorisedConv,
    R2Plus1D,
    ResidualBlock,
)
from ultrasound_jax.models.resnet import ResNet
from ultrasound_jax.models.usvn import Usvn
from ultrasound_jax.models.vivit import Transformer, ViViT
from ultrasound_jax.models.x3d import X3DS, MobileBlock, X3DStem

Names = Sequence[tuple[str, str]]

LUVNET: Names = (
    (r"^attention\.queries$", "attn_query_vecs"),
    (r"^attention_hidden\b", "attn_fc.0"),
    (r"^attention_out\b", "attn_fc.2"),
    (r"^temporal\.conv\b", "conv1d.0"),
    (r"^temporal\.norm\b", "conv1d.1"),
    (r"^classifier_hidden\b", "fc_out_final.0"),
    (r"^classifier_out\b", "fc_out_final.3"),
)

MVIT: Names = (
    (r"^patches\b", "conv_proj"),
    (r"^class_token$", "pos_encoding.class_token"),
    (r"^space_positions$", "pos_encoding.spatial_pos"),
    (r"^time_positions$", "pos_encoding.temporal_pos"),
    (r"^class_position$", "pos_encoding.class_pos"),
    (r"^classifier\b", "head.1"),
)

NAMES: Mapping[type[nnx.Module], Names] = {
    DenseNet: (
        (r"^stem\.conv\b", "features.conv0"),
        (r"^stem\.norm\b", "features.norm0"),
        (r"^blocks\.(\d+)\.layers\.(\d+)", "features.denseblock<0>.denselayer<1>"),
        (r"^transitions\.(\d+)", "features.transition<0>"),
        (r"^norm\b", "features.norm5"),
    ),
    ResNet: (
        (r"^stem\.conv\b", "conv1"),
        (r"^stem\.norm\b", "bn1"),
        (r"^stages\.(\d+)\.", "layer<0>."),
        (r"\bnorm(\d)\b", r"bn\1"),
        (r"\bshortcut\.conv\b", "downsample.0"),
        (r"\bshortcut\.norm\b", "downsample.1"),
    ),
    LuvNet: LUVNET,
    LuvNetNoTemporal: LUVNET,
    Transformer: (
        (r"^blocks\.(\d+)\.attention_norm\b", r"layers.\1.0.norm"),
        (r"^blocks\.(\d+)\.attention\.qkv\b", r"layers.\1.0.fn.to_qkv"),
        (r"^blocks\.(\d+)\.attention\.out\b", r"layers.\1.0.fn.to_out.0"),
        (r"^blocks\.(\d+)\.mlp_norm\b", r"layers.\1.1.norm"),
        (r"^blocks\.(\d+)\.mlp_hidden\b", r"layers.\1.1.fn.net.0"),
        (r"^blocks\.(\d+)\.mlp_out\b", r"layers.\1.1.fn.net.3"),
    ),
    ViViT: (
        (r"^positions$", "pos_embedding"),
        (r"^space_token$", "space_token"),
        (r"^time_token$", "temporal_token"),
        (r"^patches\b", "to_patch_embedding.1"),
        (r"^space\b", "space_transformer"),
        (r"^time\b", "temporal_transformer"),
        (r"^norm\b", "mlp_head.0"),
        (r"^classifier\b", "mlp_head.1"),
    ),
    MViTv1B: MVIT,
    MViTv2S: MVIT,
    Block: (
        (r"^attention\b", "attn"),
        (r"^mlp_hidden\b", "mlp.0"),
        (r"^mlp_out\b", "mlp.3"),
    ),
    PoolingAttention: (
        (r"^project\b", "project.0"),
        (r"^rows$", "rel_pos_h"),
        (r"^columns$", "rel_pos_w"),
        (r"^times$", "rel_pos_t"),
    ),
    TokenPool: ((r"^conv\b", "pool"), (r"^norm\b", "norm_act.0")),
    # An image classifier has its encoder at the top.
    FrameVote: ((r"^classifier\b", "<head>"), (r"^encoder\.", "")),
    # What the original calls the parts of its tanh attention is not known.
    Usvn: (
        (r"^attention\.queries$", "attn_query_vecs"),
        (r"^attention\.hidden$", "attn_tanh_vecs"),
        (r"^attention\.out$", "attn_tanh_weights"),
        (r"^classifier\b", "fc_out.1"),
    ),
    CnnLstm: (
        (r"^embed\b", "cnn.<head>"),
        (r"^encoder\.", "cnn."),
        (r"^lstm\.layers\.(\d+)\.inputs\.(\w+)$", r"lstm.\2_ih_l\1"),
        (r"^lstm\.layers\.(\d+)\.recurrent\.(\w+)$", r"lstm.\2_hh_l\1"),
        (r"^classifier\b", "fc2"),
    ),
    C3D: (
        (r"^groups\.([01])\.convolutions\.0\b", "conv<0>"),
        (r"^groups\.(\d)\.convolutions\.0\b", "conv<0>a"),
        (r"^groups\.(\d)\.convolutions\.1\b", "conv<0>b"),
        (r"^hidden1\b", "fc6"),
        (r"^hidden2\b", "fc7"),
        (r"^classifier\b", "fc8"),
    ),
    FactorisedConv: (
        (r"^(spatial|temporal)\b", r"\1_conv"),
        (r"^norm(\d)\b", r"bn\1"),
    ),
    ResidualBlock: (
        (r"^norm(\d)\b", r"bn\1"),
        (r"^shortcut\.(conv|norm)\b", r"downsample\1"),
        (r"^downsamplenorm\b", "downsamplebn"),
    ),
    # PyTorchVideo's; it calls the stem's factors by each other's names.
    X3DStem: (
        (r"^spatial\b", "conv.conv_t"),
        (r"^temporal\b", "conv.conv_xy"),
    ),
    MobileBlock: (
        (r"^(conv|norm)1\b", r"branch2.\1_a"),
        (r"^conv2\b", "branch2.conv_b"),
        (r"^norm2\b", "branch2.norm_b.0"),
        (r"^excite\.squeeze\b", "branch2.norm_b.1.block.0"),
        (r"^excite\.excite\b", "branch2.norm_b.1.block.2"),
        (r"^(conv|norm)3\b", r"branch2.\1_c"),
        (r"^shortcut\.(conv|norm)\b", r"branch1_\1"),
    ),
    X3DS: (
        (r"^stem\b", "blocks.0"),
        (r"^stages\.(\d)\.(\d+)\b", r"blocks.<0>.res_blocks.\2"),
        (r"^(conv|norm)\b", r"blocks.5.pool.pre_\1"),
        (r"^head\b", "blocks.5.pool.post_conv"),
        (r"^classifier\b", "blocks.5.proj"),
    ),
    R2Plus1D: (
        (r"^stem\b", "res2plus1d.conv1"),
        (r"^stages\.(\d)\.0\b", "res2plus1d.conv<0+2>.block1"),
        (r"^stages\.(\d)\.(\d)\b", "res2plus1d.conv<0+2>.blocks.<1-1>"),
        (r"^classifier\b", "linear"),
    ),
}
# What begins the encoder's names in a state dict of a whole video network.
ENCODER_PREFIXES = ("encoder.", "cnn.")
# An image encoder's own classifier, which a bare encoder does without.
HEADS: Mapping[type[nnx.Module], str] = {DenseNet: "classifier", ResNet: "fc"}


def _names(module: nnx.Module) -> Names:
    """The table of the module's class, or of the nearest class that it derives from."""
    tables = (NAMES[kind] for kind in type(module).__mro__ if kind in NAMES)
    return next(tables, ())


def renamed(path: str, module: nnx.Module) -> str:
    """The original's name for `path`, which is relative to `module`."""
    for pattern, name in _names(module):
        if "<head>" in name:
            head = HEADS[type(getattr(module, "encoder", module))]
            name = name.replace("<head>", head)

        def replace(match: re.Match[str], name: str = name) -> str:
            def count(place: re.Match[str]) -> str:
                return str(int(match[int(place[1]) + 1]) + int(place[2] or 1))

            return match.expand(re.sub(r"<(\d)([+-]\d)?>", count, name))

        path = re.sub(pattern, replace, path)
    return path
