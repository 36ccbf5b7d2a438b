"""How many bits samples really use, so that 12 bits in 16 are not nearly black.

Files of 16 bits a sample often hold 8, 10, 12 or 14 of them, and most do not say so (a
PNG has no place for it: its `sBIT` tells of samples that are spread over all 16). The
rule is the smallest of these depths that holds the largest value. Of a set it is the
largest value of all its pictures, so that all keep one scale.
"""

import numpy as np
from jaxtyping import UInt8

DEPTHS = (8, 10, 12, 14, 16)


def bits_of(largest: int) -> int:
    """The depth that holds the largest value: 4095 and 1024 take 12 bits."""
    return next((bits for bits in DEPTHS if largest < 2**bits), DEPTHS[-1])


def upper_eight(values: np.ndarray, bits: int) -> UInt8[np.ndarray, "..."]:
    """The upper 8 of the `bits` that are used; what is beyond them is white."""
    return np.minimum(values.astype(np.int64) >> (bits - 8), 255).astype(np.uint8)


def is_fractions(values: np.ndarray) -> bool:
    """Whether values are fractions of 0 to 1."""
    if values.dtype.kind != "f" or not values.size:
        return False
    return bool(values.min() >= 0 and values.max() <= 1)
