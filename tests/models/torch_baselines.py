"""The video baselines once more with `torch.nn`, for make_torch_reference.py.

Parameters have the originals' names (PyTorchVideo's for X3D), and shapes are written
down from the papers and the LUV-Net study, not from our modules.
"""

import torch
from torch import nn
from torch.nn import functional as F


class Usvn(nn.Module):
    def __init__(self, encoder, pooling, heads=8):
        super().__init__()
        self.encoder, self.pooling, depth = encoder, pooling, encoder.size // heads
        if pooling == "attention":
            self.attn_query_vecs = nn.Parameter(torch.empty(heads, depth))
        if pooling == "tanh_attention":
            self.attn_tanh_vecs = nn.Parameter(torch.empty(heads, 32, depth))
            self.attn_tanh_weights = nn.Parameter(torch.empty(heads, 32))
        self.heads = heads
        self.fc_out = nn.Sequential(nn.Dropout(0.0), nn.Linear(encoder.size, 4))

    def forward(self, clip):
        features = self.encoder(clip.flatten(0, 1)).unflatten(0, clip.shape[:2])
        out = {"features": features}
        if self.pooling in ("max", "mean"):
            pooled = features.amax(1) if self.pooling == "max" else features.mean(1)
            return {"logits": self.fc_out(pooled), **out}
        parts = features.unflatten(2, (self.heads, -1)).transpose(1, 2)  # b heads t d
        root = parts.shape[-1] ** 0.5
        if self.pooling == "attention":
            scores = (parts @ self.attn_query_vecs[..., None])[..., 0] / root
        else:
            hidden = torch.tanh(parts @ self.attn_tanh_vecs.transpose(1, 2))
            scores = (hidden @ self.attn_tanh_weights[..., None])[..., 0]
        attention = scores.softmax(-1)
        pooled = (attention[..., None] * parts).sum(2)
        if self.pooling == "tanh_attention":
            pooled = pooled / root
        logits = self.fc_out(pooled.flatten(1))
        return {"logits": logits, "attention": attention, **out}


class CnnLstm(nn.Module):
    def __init__(self, encoder, head, embedding=300, hidden=256, layers=3):
        super().__init__()
        self.cnn, self.head = encoder, head
        encoder.add_module(head, nn.Linear(encoder.size, embedding))
        # Over time, which is the original's intention.
        self.lstm = nn.LSTM(embedding, hidden, num_layers=layers, batch_first=True)
        self.fc2 = nn.Linear(hidden, 4)

    def forward(self, clip):
        features = self.cnn(clip.flatten(0, 1)).unflatten(0, clip.shape[:2])
        states, _ = self.lstm(getattr(self.cnn, self.head)(features))
        logits = self.fc2(F.relu(states[:, -1]))
        return {"logits": logits, "features": features, "temporal": states}


class C3D(nn.Module):
    def __init__(self, width, flat):
        super().__init__()
        sizes = {"1": (3, 1), "2": (1, 2), "3a": (2, 4), "3b": (4, 4)}
        sizes |= {"4a": (4, 8), "4b": (8, 8), "5a": (8, 8), "5b": (8, 8)}
        for name, (inputs, outputs) in sizes.items():
            inputs = 3 if name == "1" else inputs * width
            conv = nn.Conv3d(inputs, outputs * width, 3, padding=1)
            self.add_module(f"conv{name}", conv)
        self.fc6 = nn.Linear(flat * 8 * width, 64 * width)
        self.fc7 = nn.Linear(64 * width, 64 * width)
        self.fc8 = nn.Linear(64 * width, 4)

    def forward(self, clip):
        x = clip.transpose(1, 2)
        x = F.max_pool3d(F.relu(self.conv1(x)), (1, 2, 2))
        x = F.max_pool3d(F.relu(self.conv2(x)), 2)
        x = F.max_pool3d(F.relu(self.conv3b(F.relu(self.conv3a(x)))), 2)
        x = F.max_pool3d(F.relu(self.conv4b(F.relu(self.conv4a(x)))), 2)
        last = F.relu(self.conv5b(F.relu(self.conv5a(x))))
        x = F.max_pool3d(last, 2, padding=(0, 1, 1)).flatten(1)
        features = F.relu(self.fc7(F.relu(self.fc6(x))))
        feature_map = last.permute(0, 2, 3, 4, 1)
        logits = self.fc8(features)
        return {"logits": logits, "features": features, "feature_map": feature_map}


class SpatioTemporal(nn.Module):
    def __init__(self, inputs, outputs, time=3, space=3, stride=1, middle=None):
        super().__init__()
        if middle is None:
            area = space * space * inputs
            middle = time * area * outputs // (area + time * outputs)
        half, late = space // 2, time // 2
        self.spatial_conv = nn.Conv3d(
            inputs,
            middle,
            (1, space, space),
            (1, stride, stride),
            (0, half, half),
            bias=False,
        )
        self.bn1 = nn.BatchNorm3d(middle)
        # The stem strides in space alone.
        step = 1 if space == 7 else stride
        self.temporal_conv = nn.Conv3d(
            middle, outputs, (time, 1, 1), (step, 1, 1), (late, 0, 0), bias=False
        )
        self.bn2 = nn.BatchNorm3d(outputs)

    def forward(self, x):
        x = F.relu(self.bn1(self.spatial_conv(x)))
        return F.relu(self.bn2(self.temporal_conv(x)))


class ResidualBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = SpatioTemporal(inputs, outputs, stride=stride)
        self.bn1 = nn.BatchNorm3d(outputs)
        self.conv2 = SpatioTemporal(outputs, outputs)
        self.bn2 = nn.BatchNorm3d(outputs)
        self.strided = stride > 1
        if self.strided:
            self.downsampleconv = SpatioTemporal(inputs, outputs, 1, 1, stride)
            self.downsamplebn = nn.BatchNorm3d(outputs)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(
            y + (self.downsamplebn(self.downsampleconv(x)) if self.strided else x)
        )


class R2Plus1D(nn.Module):
    def __init__(self, blocks, width):
        super().__init__()
        net = nn.Module()
        net.conv1 = SpatioTemporal(3, width, 3, 7, 2, middle=45 * width // 64)
        inputs = width
        for i, count in enumerate(blocks):
            stage, outputs = nn.Module(), width * 2**i
            stage.block1 = ResidualBlock(inputs, outputs, 2 if i else 1)
            stage.blocks = nn.ModuleList(
                ResidualBlock(outputs, outputs, 1) for _ in range(count - 1)
            )
            net.add_module(f"conv{i + 2}", stage)
            inputs = outputs
        self.res2plus1d, self.stages = net, len(blocks)
        self.linear = nn.Linear(inputs, 4)

    def forward(self, clip):
        x = self.res2plus1d.conv1(clip.transpose(1, 2))
        for i in range(self.stages):
            stage = getattr(self.res2plus1d, f"conv{i + 2}")
            x = stage.block1(x)
            for block in stage.blocks:
                x = block(x)
        features, feature_map = x.mean((2, 3, 4)), x.permute(0, 2, 3, 4, 1)
        logits = self.linear(features)
        return {"logits": logits, "features": features, "feature_map": feature_map}


class SqueezeExcite(nn.Module):
    def __init__(self, size, hidden):
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv3d(size, hidden, 1), nn.ReLU(), nn.Conv3d(hidden, size, 1)
        )

    def forward(self, x):
        return x * torch.sigmoid(self.block(x.mean((2, 3, 4), keepdim=True)))


class X3DBlock(nn.Module):
    def __init__(self, inputs, outputs, stride, hidden):
        super().__init__()
        inner, steps = outputs * 9 // 4, (1, stride, stride)
        self.branch1_conv = self.branch1_norm = None
        if stride > 1 or inputs != outputs:
            self.branch1_conv = nn.Conv3d(inputs, outputs, 1, steps, bias=False)
        if inputs != outputs:
            self.branch1_norm = nn.BatchNorm3d(outputs)
        branch = self.branch2 = nn.Module()
        branch.conv_a = nn.Conv3d(inputs, inner, 1, bias=False)
        branch.norm_a = nn.BatchNorm3d(inner)
        branch.conv_b = nn.Conv3d(inner, inner, 3, steps, 1, groups=inner, bias=False)
        excite = SqueezeExcite(inner, hidden) if hidden else nn.Identity()
        branch.norm_b = nn.Sequential(nn.BatchNorm3d(inner), excite)
        branch.conv_c = nn.Conv3d(inner, outputs, 1, bias=False)
        branch.norm_c = nn.BatchNorm3d(outputs)

    def forward(self, x):
        branch = self.branch2
        y = F.relu(branch.norm_a(branch.conv_a(x)))
        y = F.silu(branch.norm_b(branch.conv_b(y)))
        y = branch.norm_c(branch.conv_c(y))
        if self.branch1_conv is not None:
            x = self.branch1_conv(x)
        if self.branch1_norm is not None:
            x = self.branch1_norm(x)
        return F.relu(x + y)


class X3D(nn.Module):
    def __init__(self, depths, width, hidden, head):
        super().__init__()
        stem = nn.Module()
        stem.conv = nn.Module()
        stem.conv.conv_t = nn.Conv3d(
            3, width, (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False
        )
        stem.conv.conv_xy = nn.Conv3d(
            width, width, (5, 1, 1), padding=(2, 0, 0), groups=width, bias=False
        )
        stem.norm = nn.BatchNorm3d(width)
        blocks, inputs = [stem], width
        for i, depth in enumerate(depths):
            stage, outputs = nn.Module(), width * 2**i
            stage.res_blocks = nn.Sequential()
            for j in range(depth):
                block = X3DBlock(
                    inputs, outputs, 1 if j else 2, 0 if j % 2 else hidden[i]
                )
                stage.res_blocks.append(block)
                inputs = outputs
            blocks.append(stage)
        end, inner = nn.Module(), inputs * 9 // 4
        end.pool = nn.Module()
        end.pool.pre_conv = nn.Conv3d(inputs, inner, 1, bias=False)
        end.pool.pre_norm = nn.BatchNorm3d(inner)
        end.pool.post_conv = nn.Conv3d(inner, head, 1, bias=False)
        end.proj = nn.Linear(head, 4)
        self.blocks = nn.ModuleList(
            [*blocks, *[nn.Identity()] * (5 - len(blocks)), end]
        )

    def forward(self, clip):
        stem, *stages, end = self.blocks
        x = stem.conv.conv_xy(stem.conv.conv_t(clip.transpose(1, 2)))
        x = F.relu(stem.norm(x))
        for stage in stages:
            x = stage.res_blocks(x) if hasattr(stage, "res_blocks") else x
        x = F.relu(end.pool.pre_norm(end.pool.pre_conv(x)))
        pooled = x.mean((2, 3, 4), keepdim=True)
        features = F.relu(end.pool.post_conv(pooled)).flatten(1)
        feature_map = x.permute(0, 2, 3, 4, 1)
        logits = end.proj(features)
        return {"logits": logits, "features": features, "feature_map": feature_map}
