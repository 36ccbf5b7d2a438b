"""Random weights that NumPy alone decides, so that PyTorch and we use the same ones."""

import re
import zlib

import numpy as np

LAST_NORM = re.compile(r"layer\d\.\d\.bn[23]|(block1|blocks\.\d)\.bn2|branch2\.norm_c")


def random_tensor(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """A float32 tensor that depends on its name, not on the order of asking."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    if name == "attn_query_vecs":
        return rng.standard_normal(shape, np.float32)
    if name.endswith("running_var"):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    if name.endswith("running_mean") or "bias" in name.rsplit(".")[-1]:
        return 0.1 * rng.standard_normal(shape, np.float32)
    if len(shape) == 1:
        # Small at the end of residual branches, or fixed statistics let them explode.
        scale = 0.3 if LAST_NORM.search(name) else 1.0
        return scale * rng.uniform(0.5, 1.5, shape).astype(np.float32)
    spread = np.float32(np.sqrt(2 / np.prod(shape[1:])))
    return spread * rng.standard_normal(shape, np.float32)


def random_clip(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Frames that differ, with values as a normalised image has them."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)
