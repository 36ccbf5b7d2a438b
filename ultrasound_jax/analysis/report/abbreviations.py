"""What the abbreviations of a report mean, of those that it uses."""

import re
from collections.abc import Sequence

from ultrasound_jax.analysis.document import (
    Block,
    Heading,
    Listing,
    Picture,
    Table,
    Text,
)

MEANINGS = {
    "AUROC": "area under the receiver operating characteristic curve: 1 is perfect, "
    "0.5 is chance",
    "ROC": "receiver operating characteristic: sensitivity against 1 − specificity at "
    "every threshold",
    "F1": "harmonic mean of sensitivity and positive predictive value",
    "PPV": "positive predictive value: of those called positive, the share that is",
    "NPV": "negative predictive value: of those called negative, the share that is",
    "LR+": "likelihood ratio of a positive call: sensitivity / (1 − specificity)",
    "LR−": "likelihood ratio of a negative call: (1 − sensitivity) / specificity",
    "ECE": "expected calibration error: mean distance between score and observed rate",
    "IoU": "intersection over union of a found and a true mask",
    "Dice": "twice the intersection over the sum of a found and a true mask",
    "HD95": "95th percentile of how far the edges of two masks are apart, the larger "
    "one of both directions",
    "ASSD": "average symmetric surface distance: mean of how far those edges are",
    "NSD": "normalised surface distance: share of those edges within a tolerance",
    "GMACs": "thousand million multiply-accumulates",
    "GFLOPs": "thousand million floating-point operations",
    "macro": "mean over the classes",
    "effective": "effective patients: as many with equally many examples tell as much",
    "largest": "share of the examples that the patient with the most has",
}


def abbreviations(blocks: Sequence[Block]) -> list[Block]:
    """A list of those that occur, and nothing where there are none."""
    text = "\n".join(_text(block) for block in blocks)
    found = [
        f"{name}: {meaning}."
        for name, meaning in MEANINGS.items()
        if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)
    ]
    return [Heading("Words and abbreviations"), Listing(found)] if found else []


def _text(block: Block) -> str:
    match block:
        case Heading(text) | Text(text):
            return text
        case Listing(items):
            return "\n".join(items)
        case Table():
            cells = [cell for row in block.rows for cell in row]
            return "\n".join([block.caption, *map(str, (*block.header, *cells))])
        case Picture():
            return block.caption
