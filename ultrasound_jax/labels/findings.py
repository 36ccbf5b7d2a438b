"""The findings that a labelling sheet has columns for, and what follows from them."""

from collections.abc import Collection, Iterable, Mapping

# Finding -> its column in the sheet (LUV-Net; specification, sections 1.1 and 1.2).
COLUMNS = {
    "a_line": "A-line",
    "b_line": "B-line",
    "confluent_b_line": "Confluent B-line",
    "consolidation": "Consolidation",
    "pleural_effusion": "Pleural effusion",
}
FINDINGS = tuple(COLUMNS)
SCORE_COLUMN = "Lung Ultrasound Score"
PATTERNS = ("a_line", "b_line", "consolidation", "pleural_effusion")
# A target is present where any of its findings is: b_line is the total B-line.
PARTS = {
    "a_line": ("a_line",),
    "b_line": ("b_line", "confluent_b_line"),
    "consolidation": ("consolidation",),
    "pleural_effusion": ("pleural_effusion",),
}
SCORES = {
    "a_line": 0,
    "b_line": 1,
    "confluent_b_line": 2,
    "consolidation": 3,
    "pleural_effusion": 3,
}
NOTHING = 4  # the score of a video, clip or frame that shows no finding


def lung_score(present: Iterable[str]) -> int:
    """The largest score of the findings that are present; 4 where there is none."""
    return max((SCORES[finding] for finding in present), default=NOTHING)


def score_text(present: Collection[str]) -> str:
    """The score as annotators write it: `0`, `1`, `2`, `3_c`, `3_e`, `3_c_e` or `4`."""
    causes = [
        letter
        for finding, letter in (("consolidation", "c"), ("pleural_effusion", "e"))
        if finding in present
    ]
    return "_".join([str(lung_score(present)), *causes])


def of_patterns(frames: Mapping[str, set[int]]) -> dict[str, set[int]]:
    """Frames of the four targets from those of the five findings."""
    return {
        pattern: set().union(*(frames.get(part, set()) for part in parts))
        for pattern, parts in PARTS.items()
    }
