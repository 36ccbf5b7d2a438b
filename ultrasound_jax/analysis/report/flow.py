"""The flow of patients, videos and clips from what was found to what is judged."""

from collections.abc import Mapping, Sequence
from typing import Any

from ultrasound_jax.analysis.document import (
    NOT_DEFINED,
    Block,
    Heading,
    Listing,
    Picture,
    Table,
    Text,
    label,
)
from ultrasound_jax.analysis.report.flow_figure import Box, draw
from ultrasound_jax.analysis.table.units import plural

Tree = Mapping[str, Any]
NAME = "population.json"
_STAGES = {"index": "not usable, says the index", "build": "left out by the dataset"}
_NOT_TOLD = "–"
_OUTSIDE = "not judged: no label of a class that is judged"


def title(people: Tree) -> str:
    """`Flow of patients, videos and clips`, as the units are called."""
    unit, group = people["units"]
    groups = [plural(group)] if unit != group else []
    names = ["patients", *groups, plural(unit)]
    return f"Flow of {', '.join(names[:-1])} and {names[-1]}"


def sections(people: Tree, judged: Sequence[Tree]) -> list[Block]:
    """The heading, the figure, the table, and what is not known.

    Args:
        people: a run's `population.json`.
        judged: the `assess` trees of the splits that are reported, the main one first.
    """
    rows = _rows(people, judged)
    unit, group = people["units"]
    groups = [plural(group)] if unit != group else []
    found: list[Block] = [
        Heading(title(people)),
        Picture(
            "flow",
            draw(_boxes(people, judged)),
            alt="Flow diagram: what was found, left out, split and judged",
            caption="From what was found to what is judged, as STARD 2015 has it.",
        ),
        Table(
            ["step", "files", "patients", *groups, plural(unit)],
            rows,
            caption="Each step of the flow. Files are counted before they are built, "
            f"{plural(unit)} after; {_NOT_TOLD} stands where nothing tells.",
        ),
    ]
    said = [*people["unknown"]]
    if people["patient"]:
        said.append(f"A patient here is {people['patient']}.")
    return [*found, Listing(said)] if said else found


def unknown(names: Sequence[str]) -> list[Block]:
    """Says that these runs tell nothing of it."""
    whose = ", ".join(names)
    return [
        Heading("Flow of patients"),
        Text(
            f"Not known for {whose}: {NAME} is not beside the predictions, as for runs "
            "of earlier versions and tables without a run's folder. `--mode evaluate` "
            "of a run writes it."
        ),
    ]


def _counts(people: Tree, counts: Tree) -> list[str]:
    unit, group = people["units"]
    groups = [str(counts["groups"])] if unit != group else []
    return [str(counts["patients"]), *groups, str(counts["examples"])]


def _rows(people: Tree, judged: Sequence[Tree]) -> list[list[str]]:
    blank = [_NOT_TOLD] * (len(_counts(people, people["built"])) - 1)
    rows, found = [], people["found"]
    if found:
        patients = _NOT_TOLD if found["patients"] is None else str(found["patients"])
        cells = [str(found["files"]), patients, *blank]
        rows.append([f"found: {found['what'] or 'files'}", *cells])
    for one in people["left_out"]:
        cells = [str(one["files"]), _NOT_TOLD, *blank]
        rows.append([f"{_STAGES[one['stage']]}: {one['reason']}", *cells])
    rows.append(["built", _NOT_TOLD, *_counts(people, people["built"])])
    if people["outside"]["examples"]:
        cells = _counts(people, people["outside"])
        rows.append([_OUTSIDE, _NOT_TOLD, *cells])
    for part, counts in people["parts"].items():
        rows.append([f"in {label(part)}", _NOT_TOLD, *_counts(people, counts)])
    for tree in judged:
        n = next(iter(tree["levels"].values()))["n"]
        own = {"patients": n["patients"], "examples": n["examples"]}
        own["groups"] = n.get(plural(people["units"][1]), n["examples"])
        name = f"judged: {label(tree['split'])}"
        rows.append([name, _NOT_TOLD, *_counts(people, own)])
    return rows


def _labels(tree: Tree) -> str:
    """What is known of the judged, a class each: with, without, not annotated."""
    classes = next(iter(tree["levels"].values()))["classes"]
    return "; ".join(
        f"{label(name)}: {entry['positives']} with, {entry['negatives']} without"
        + (f", {entry['unknown']} not annotated" if entry["unknown"] else "")
        for name, entry in classes.items()
        if "positives" in entry
    )


def _lines(people: Tree, counts: Tree) -> list[str]:
    unit, group = people["units"]
    cells = _counts(people, counts)
    names = ["patients", *([plural(group)] if unit != group else []), plural(unit)]
    return [f"{n} {name}" for n, name in zip(cells, names, strict=True)]


def _boxes(people: Tree, judged: Sequence[Tree]) -> list[Box]:
    boxes, found = [], people["found"]
    if found:
        lines = [f"{found['files']} {found['what'] or 'files'}"]
        if found["patients"] is not None:
            lines.append(f"of {found['patients']} patients")
        boxes.append(Box([["found", *lines]]))
    for stage, words in _STAGES.items():
        left = [one for one in people["left_out"] if one["stage"] == stage]
        if left:
            total = sum(one["files"] for one in left)
            reasons = [f"{one['files']} {one['reason']}" for one in left]
            boxes.append(Box([[f"{total} {words}", *reasons]], aside=True))
    boxes.append(Box([["built", *_lines(people, people["built"])]]))
    if people["outside"]["examples"]:
        lines = _lines(people, people["outside"])
        boxes.append(Box([[_OUTSIDE, *lines]], aside=True))
    parts = people["parts"].items()
    boxes.append(Box([[label(name), *_lines(people, n)] for name, n in parts]))
    if judged:
        told = _labels(judged[0])
        lines = told.split("; ") if told else [NOT_DEFINED]
        heading = f"judged: {label(judged[0]['split'])}"
        of = plural(people["units"][0])
        names, split = list(people["parts"]), judged[0]["split"]
        # Three parts stand in one row; of folds, all are judged.
        under = names.index(split) if split in names else None
        boxes.append(Box([[f"{heading} ({of})", *lines]], under=under))
    return boxes
