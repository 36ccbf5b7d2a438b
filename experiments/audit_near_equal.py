"""How long the audit takes on a set in which every picture is like every other.

    python experiments/audit_near_equal.py --pictures 20000

Compares thumbnails of one made picture under noise, each of another patient, and keeps
the best pairs: the part of the audit that grows with the square of the number. Writes
experiments/results/audit_near_equal.json with processor seconds.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from ultrasound_jax.data.audit.best_pairs import BestPairs
from ultrasound_jax.data.audit.leaks import HASHED_FROM, MOST_PAIRS
from ultrasound_jax.media.near_duplicates import (
    HASH_RADIUS,
    SIDE,
    THRESHOLD,
    near_pairs,
)
from ultrasound_jax.runs import provenance
from ultrasound_jax.runs.bar import watched
from ultrasound_jax.runs.files import write_whole

RESULT = Path(__file__).parent / "results/audit_near_equal.json"
NOISE = 2.0  # grey levels


def main() -> None:
    """Measures and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=20_000)
    count = parser.parse_args().pictures
    rng = np.random.default_rng(0)
    one = rng.normal(100, 30, (SIDE, SIDE))
    thumbnails = (one + rng.normal(0, NOISE, (count, SIDE, SIDE))).astype(np.float32)
    begun = time.process_time()
    own = np.arange(count)
    kept = BestPairs(own, own, most=MOST_PAIRS)
    blocks = near_pairs(
        thumbnails,
        threshold=THRESHOLD,
        apart=own,
        hash_radius=HASH_RADIUS if count > HASHED_FROM else None,
        watch=watched("blocks of pictures"),
    )
    for block in blocks:
        kept.add(*block)
    rows = sum(1 for _ in kept.rows())
    result = {
        "pictures": count,
        "pairs above the threshold": rows + kept.dropped,
        "pairs kept": rows,
        "processor seconds": round(time.process_time() - begun, 1),
    }
    tree = {"run": provenance.facts(), "near_equal": result}
    write_whole(RESULT, json.dumps(tree, indent=1) + "\n")
    print(f"wrote {RESULT}: {result}")


if __name__ == "__main__":
    main()
