"""Everything about one model, as blocks of a document."""

from collections.abc import Mapping
from typing import Any

from ultrasound_jax.analysis.document import (
    Block,
    Heading,
    Picture,
    Table,
    Text,
    label,
)
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.report.assessment import assessment
from ultrasound_jax.analysis.table.inputs import Run

ATTENTION = "attention"
MOST_PICTURES = 6


def model(one: Run, tree: Mapping[str, Any], place: int) -> list[Block]:
    """Everything about one model, with its run's facts and attention figures."""
    blocks: list[Block] = [Heading(f"Model: {one.name}")]
    blocks += assessment(tree, str(place))
    blocks += attention(one, place)
    metrics = one.read_json("metrics.json")
    facts = metrics.get("run") if isinstance(metrics, dict) else None
    facts = facts if isinstance(facts, dict) else {}
    rows = [[k, str(v)] for k, v in facts.items() if isinstance(v, str | int | float)]
    if rows:
        blocks.append(Table(["run", ""], rows, caption="How the run was made."))
    return blocks


def attention(one: Run, place: int) -> list[Block]:
    """The first pictures of the run's folder `attention`, not of single clips."""
    folder = one.folder / ATTENTION if one.folder else None
    if folder is None or not folder.is_dir():
        return []
    pictures = [
        path
        for path in sorted(folder.rglob("*.png"))
        if "clips" not in path.relative_to(folder).parts
    ]
    if not pictures:
        return []
    blocks: list[Block] = [Heading("Where the network looks", 3)]
    for i, path in enumerate(pictures[:MOST_PICTURES]):
        try:
            image = path.read_bytes()
        except OSError as error:
            raise AnalysisError(f"{path}: cannot be read: {error}") from error
        # The folder is the video, the file says what is shown.
        shown = f"{path.parent.name}: {label(path.stem)}"
        blocks.append(
            Picture(f"attention_{place}_{i + 1}", image, alt=shown, caption=shown)
        )
    if len(pictures) > MOST_PICTURES:
        more = len(pictures) - MOST_PICTURES
        blocks.append(Text(f"{more} more pictures are in the run's folder."))
    return blocks
