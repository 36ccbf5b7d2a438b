"""Records what PyTorch computes, in fixtures/torch_transformers.json. Needs PyTorch.

    python -m tests.models.make_torch_transformers

ViViT and both MViTs, written here once more from their papers with `torch.nn`, under
the original's parameter names. Weights and clips come from `reference_weights.py`, so
only PyTorch's outputs are stored. Recorded with PyTorch 2.13.0 on a CPU. The MViTs here
were also compared with torchvision 0.28's own, to 5e-6.
"""

import json
import zlib
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from tests.models.make_torch_reference import summary
from tests.models.reference_weights import random_clip, random_tensor

FIXTURE = Path(__file__).parent / "fixtures" / "torch_transformers.json"
SEED = 7
PATTERNS = 4

# heads, stride of queries, stride of keys, width in, width out
SHORT = {
    "mvit_v1_b": [(1, 1, 4, 1, 2), (2, 2, 2, 2, 4), (4, 1, 1, 4, 4)],
    "mvit_v2_s": [(1, 1, 4, 1, 1), (2, 2, 2, 1, 2), (2, 1, 1, 2, 2)],
}
PUBLISHED = {
    "mvit_v1_b": [
        (1, 1, 8, 1, 2),
        (2, 2, 4, 2, 2),
        (2, 1, 4, 2, 4),
        (4, 2, 2, 4, 4),
        *[(4, 1, 2, 4, 4)] * 9,
        (4, 1, 2, 4, 8),
        (8, 2, 1, 8, 8),
        (8, 1, 1, 8, 8),
    ],
    "mvit_v2_s": [
        (1, 1, 8, 1, 1),
        (2, 2, 4, 1, 2),
        (2, 1, 4, 2, 2),
        (4, 2, 2, 2, 4),
        *[(4, 1, 2, 4, 4)] * 10,
        (8, 2, 1, 4, 8),
        (8, 1, 1, 8, 8),
    ],
}
SMALL_VIVIT = {"patch": 8, "dim": 16, "depth": 2, "heads": 2, "dim_head": 8}

LONGEST = 65
# name: network, clip (frames, height, width), options, block sizes
CASES = {
    "vivit_small": ("vivit", (5, 16, 24), SMALL_VIVIT, None),
    "mvit_v1_b_small": ("mvit_v1_b", (5, 24, 28), {"width": 8}, SHORT["mvit_v1_b"]),
    "mvit_v2_s_small": ("mvit_v2_s", (6, 32, 32), {"width": 8}, SHORT["mvit_v2_s"]),
    # Sides that no stride divides, and an odd number of frames: other table lengths.
    "mvit_v2_s_uneven": ("mvit_v2_s", (5, 28, 20), {"width": 8}, SHORT["mvit_v2_s"]),
    # Grids of 7 and 6 places, where rounding decides which row of a table is taken.
    "mvit_v2_s_sevenths": ("mvit_v2_s", (4, 28, 104), {"width": 8}, SHORT["mvit_v2_s"]),
    "vivit": ("vivit", (8, 64, 64), {}, None),
    "mvit_v1_b": ("mvit_v1_b", (16, 64, 64), {}, PUBLISHED["mvit_v1_b"]),
    "mvit_v2_s": ("mvit_v2_s", (16, 64, 64), {}, PUBLISHED["mvit_v2_s"]),
}


class Attention(nn.Module):
    def __init__(self, dim, heads, dim_head):
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(dim, 3 * heads * dim_head, bias=False)
        self.to_out = nn.Sequential(nn.Linear(heads * dim_head, dim))

    def forward(self, x):
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.to_qkv(x).chunk(3, -1)
        )
        weights = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)
        self.weights = weights.mean(1)
        return self.to_out((weights @ value).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, dim):
        super().__init__()
        hidden, out = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.net = nn.Sequential(hidden, nn.GELU(), nn.Identity(), out)

    def forward(self, x):
        return self.net(x)


class PreNorm(nn.Module):
    def __init__(self, dim, fn):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fn = fn

    def forward(self, x):
        return x + self.fn(self.norm(x))


class Transformer(nn.Module):
    def __init__(self, dim, depth, heads, dim_head):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    PreNorm(dim, Attention(dim, heads, dim_head)),
                    PreNorm(dim, FeedForward(dim)),
                ]
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, x):
        for attention, feed_forward in self.layers:
            x = feed_forward(attention(x))
        return self.norm(x)

    def weights(self):
        return [attention.fn.weights for attention, _ in self.layers]


class ViViT(nn.Module):
    def __init__(self, clip, patch=16, dim=192, depth=4, heads=3, dim_head=64):
        super().__init__()
        frames, height, width = clip
        self.patch = patch
        patches = (height // patch) * (width // patch)
        self.to_patch_embedding = nn.Sequential(
            nn.Identity(), nn.Linear(3 * patch * patch, dim)
        )
        self.pos_embedding = nn.Parameter(torch.empty(1, frames, patches + 1, dim))
        self.space_token = nn.Parameter(torch.empty(1, 1, dim))
        self.temporal_token = nn.Parameter(torch.empty(1, 1, dim))
        self.space_transformer = Transformer(dim, depth, heads, dim_head)
        self.temporal_transformer = Transformer(dim, depth, heads, dim_head)
        self.mlp_head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, PATTERNS))

    def forward(self, clip):
        batch, frames = clip.shape[:2]
        # b t h w c -> b t i j p1 p2 c
        x = clip.unfold(2, self.patch, self.patch).unfold(3, self.patch, self.patch)
        x = x.permute(0, 1, 2, 3, 5, 6, 4).flatten(4).flatten(2, 3)
        x = self.to_patch_embedding(x)
        first = self.space_token[None].expand(batch, frames, 1, -1)
        x = torch.cat([first, x], 2) + self.pos_embedding
        x = self.space_transformer(x.flatten(0, 1))
        features = x[:, 0].unflatten(0, (batch, frames))
        x = torch.cat([self.temporal_token.expand(batch, 1, -1), features], 1)
        x = self.temporal_transformer(x)
        space = [
            weights.unflatten(0, (batch, frames))
            for weights in self.space_transformer.weights()
        ]
        return {
            "logits": self.mlp_head(x[:, 0]),
            "features": features,
            **numbered("space_attention", space),
            **numbered("time_attention", self.temporal_transformer.weights()),
        }


def numbered(name, tensors):
    return {f"{name}.{index}": tensor for index, tensor in enumerate(tensors)}


class Pool(nn.Module):
    def __init__(self, depth, stride):
        super().__init__()
        self.pool = nn.Conv3d(
            depth, depth, 3, (1, stride, stride), 1, groups=depth, bias=False
        )
        self.norm_act = nn.Sequential(nn.LayerNorm(depth, eps=1e-6))

    def forward(self, x, grid):
        """b heads n d -> b heads m d and the grid of m - 1 tokens."""
        batch, heads, _, depth = x.shape
        first, rest = x[:, :, :1], x[:, :, 1:]
        rest = rest.transpose(2, 3).reshape(batch * heads, depth, *grid)
        rest = self.pool(rest)
        grid = tuple(rest.shape[2:])
        rest = rest.reshape(batch, heads, depth, -1).transpose(2, 3)
        return self.norm_act(torch.cat([first, rest], 2)), grid


def rows_of(queries, keys):
    """Rows of a relative table, in float32 and in torchvision's order of terms."""
    ahead, behind = max(keys / queries, 1.0), max(queries / keys, 1.0)
    apart = torch.arange(queries)[:, None] * ahead
    return (apart - (torch.arange(keys) + (1.0 - keys)) * behind).long()


def checksum_of_rows(longest):
    """One number for the rows of all pairs of lengths up to `longest`."""
    found = 0
    for queries in range(1, longest + 1):
        for keys in range(1, longest + 1):
            rows = rows_of(queries, keys).numpy().astype("<i4")
            found = zlib.crc32(rows.tobytes(), found)
    return found


class MultiscaleAttention(nn.Module):
    def __init__(self, inputs, outputs, size, longest, frames, relative):
        super().__init__()
        heads, query_stride, key_stride, *_ = size
        depth = outputs // heads
        self.heads, self.relative = heads, relative
        self.qkv = nn.Linear(inputs, 3 * outputs)
        self.project = nn.Sequential(nn.Linear(outputs, outputs))
        if relative or query_stride > 1:
            self.pool_q = Pool(depth, query_stride)
        self.pool_k = Pool(depth, key_stride)
        self.pool_v = Pool(depth, key_stride)
        if relative:
            space = max(longest // query_stride, longest // key_stride)
            for axis, most in (("h", space), ("w", space), ("t", frames)):
                table = nn.Parameter(torch.empty(2 * most - 1, depth))
                setattr(self, f"rel_pos_{axis}", table)

    def forward(self, x, grid):
        x = self.qkv(x).unflatten(-1, (3, self.heads, -1))
        query, key, value = x.permute(2, 0, 3, 1, 4)
        query_grid = grid
        if hasattr(self, "pool_q"):
            query, query_grid = self.pool_q(query, grid)
        key, key_grid = self.pool_k(key, grid)
        value, _ = self.pool_v(value, grid)
        scores = query * query.shape[-1] ** -0.5 @ key.mT
        if self.relative:
            scores[:, :, 1:, 1:] += self.positions(query, query_grid, key_grid)
        weights = scores.softmax(-1)
        self.weights = weights[:, :, 0, 1:].mean(1).unflatten(-1, key_grid)
        x = weights @ value
        if self.relative:
            x[:, :, 1:] += query[:, :, 1:]
        return self.project(x.transpose(1, 2).flatten(2)), query_grid

    def positions(self, query, query_grid, key_grid):
        grid = query[:, :, 1:].unflatten(2, query_grid)
        total = 0
        for axis, letter in enumerate("thw"):
            queries, keys = query_grid[axis], key_grid[axis]
            rows = 2 * max(queries, keys) - 1
            table = getattr(self, f"rel_pos_{letter}")
            if len(table) != rows:
                table = F.interpolate(table.T[None], rows, mode="linear")[0].T
            vectors = table[rows_of(queries, keys)]
            moved = grid.movedim(2 + axis, 2)
            part = torch.einsum("bnqxyd,qkd->bnqxyk", moved, vectors)
            part = part.movedim(2, 2 + axis)
            shape = [1, 1, 1]
            shape[axis] = keys
            total = total + part.reshape(*part.shape[:5], *shape)
        return total.flatten(5).flatten(2, 4)


class MultiscaleBlock(nn.Module):
    def __init__(self, inputs, outputs, size, longest, frames, relative):
        super().__init__()
        inner = outputs if relative else inputs
        self.relative, self.stride = relative, size[1]
        self.norm1 = nn.LayerNorm(inputs, eps=1e-6)
        self.attn = MultiscaleAttention(inputs, inner, size, longest, frames, relative)
        self.norm2 = nn.LayerNorm(inner, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(inner, 4 * inner),
            nn.GELU(),
            nn.Identity(),
            nn.Linear(4 * inner, outputs),
        )
        if inputs != outputs:
            self.project = nn.Linear(inputs, outputs)

    def forward(self, x, grid):
        normed = self.norm1(x)
        mixed, query_grid = self.attn(normed, grid)
        if self.relative and hasattr(self, "project"):
            x = self.project(normed)
        if self.stride > 1:
            rest = x[:, 1:].mT.unflatten(2, grid)
            step = (1, self.stride, self.stride)
            kernel = (1, self.stride + 1, self.stride + 1)
            rest = F.max_pool3d(rest, kernel, step, tuple(k // 2 for k in kernel))
            x = torch.cat([x[:, :1], rest.flatten(2).mT], 1)
        x = x + mixed
        normed = self.norm2(x)
        if not self.relative and hasattr(self, "project"):
            x = self.project(normed)
        return x + self.mlp(normed), query_grid


class Positions(nn.Module):
    def __init__(self, width, space, time, relative):
        super().__init__()
        self.class_token = nn.Parameter(torch.empty(width))
        if not relative:
            self.spatial_pos = nn.Parameter(torch.empty(space, width))
            self.temporal_pos = nn.Parameter(torch.empty(time, width))
            self.class_pos = nn.Parameter(torch.empty(width))

    def forward(self, x):
        first = self.class_token.expand(len(x), 1, -1)
        x = torch.cat([first, x], 1)
        if not hasattr(self, "class_pos"):
            return x
        both = self.temporal_pos[:, None] + self.spatial_pos
        return x + torch.cat([self.class_pos[None], both.flatten(0, 1)])


class MViT(nn.Module):
    def __init__(self, clip, sizes, relative, width=96):
        super().__init__()
        frames, *sides = clip
        high, wide = (-(-side // 4) for side in sides)
        self.conv_proj = nn.Conv3d(3, width, (3, 7, 7), (2, 4, 4), (1, 3, 3))
        self.pos_encoding = Positions(width, high * wide, -(-frames // 2), relative)
        longest = max(sides) // 4
        self.blocks = nn.ModuleList()
        for size in sizes:
            inputs, outputs = size[3] * width, size[4] * width
            self.blocks.append(
                MultiscaleBlock(inputs, outputs, size, longest, frames // 2, relative)
            )
            longest //= size[1]
        self.norm = nn.LayerNorm(outputs, eps=1e-6)
        self.head = nn.Sequential(nn.Identity(), nn.Linear(outputs, PATTERNS))

    def forward(self, clip):
        x = self.conv_proj(clip.permute(0, 4, 1, 2, 3))
        grid = tuple(x.shape[2:])
        x = self.pos_encoding(x.flatten(2).mT)
        for block in self.blocks:
            x, grid = block(x, grid)
        attention = [block.attn.weights for block in self.blocks]
        logits = self.head(self.norm(x)[:, 0])
        return {"logits": logits, **numbered("class_attention", attention)}


def record(name, clip, options, sizes):
    if name == "vivit":
        model = ViViT(clip, **options)
    else:
        model = MViT(clip, sizes, name == "mvit_v2_s", **options)
    state = {
        key: torch.from_numpy(random_tensor(key, tuple(value.shape), SEED))
        for key, value in model.state_dict().items()
    }
    model.load_state_dict(state)
    with torch.no_grad():
        out = model(torch.from_numpy(random_clip((2, *clip, 3), SEED)))
    return {
        "network": name,
        "clip_shape": clip,
        "options": options,
        "block_sizes": sizes if options else None,
        "logits": out["logits"].tolist(),
        "outputs": {key: summary(value) for key, value in out.items()},
    }


def main():
    cases = {name: record(*case) for name, case in CASES.items()}
    rows = {"longest": LONGEST, "crc32": checksum_of_rows(LONGEST)}
    tree = {"seed": SEED, "relative_rows": rows, "cases": cases}
    FIXTURE.write_text(json.dumps(tree, indent=1) + "\n")


if __name__ == "__main__":
    main()
