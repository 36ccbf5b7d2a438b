"""All files that are written about a run's maps: page, table, numbers, pictures."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ultrasound_jax.analysis.document import Block, Heading, Listing, Picture, Text
from ultrasound_jax.analysis.judge.map_agreement import MEASURES, THRESHOLD
from ultrasound_jax.analysis.report.html import write_html
from ultrasound_jax.analysis.report.map_section import class_section, map_sections
from ultrasound_jax.analysis.report.markdown import write_markdown
from ultrasound_jax.explain.draw.map_sheet import map_sheet
from ultrasound_jax.explain.see.judged_maps import OF_PREDICTED, OF_TRUE, JudgedMaps
from ultrasound_jax.explain.see.regions import Regions
from ultrasound_jax.runs import provenance
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.runs.spreadsheet import people_csv

FILES = ("cam.html", "cam.md", "cam.json", "cam.csv", "overlays.png", "nulls.png")
SHOWN = 20  # examples that were left out, on the page; cam.json has all
_WHOSE = {OF_PREDICTED: "the predicted class", OF_TRUE: "the true class"}


def write_maps(folder: Path, name: str, judged: JudgedMaps, *, each: int) -> str:
    """Writes FILES into a folder; returns the verdict.

    Args:
        folder: that is there.
        name: of the run.
        judged: its maps.
        each: images in a row of pictures.
    """
    asked, look, regions = judged.asked, judged.look, judged.regions
    tree, by_class = judged.tree(), judged.by_class()
    told = {
        "run": name,
        "split": asked.split,
        "class": asked.of_class,
        "maps": look.kind,
        "method": look.method,
        "stage": look.stage,
        "cells": look.cells,
        "threshold": THRESHOLD,
        "regions": regions.origin,
        "files_of_no_example": regions.strangers,
        "left_out": regions.left_out,
        "seed": asked.seed,
        "all": tree,
        "by_class": by_class,
        "facts": provenance.facts(),
    }
    write_whole(folder / "cam.json", json.dumps(told, indent=1) + "\n")
    write_whole(folder / "cam.csv", people_csv(judged.rows()))
    blocks = _page(name, judged, tree, by_class, each)
    write_markdown(folder / "cam.md", blocks, figures="")
    write_html(folder / "cam.html", blocks)
    return tree["verdict"]


def _page(
    name: str,
    judged: JudgedMaps,
    tree: Mapping[str, Any],
    by_class: Mapping[str, Any],
    each: int,
) -> list[Block]:
    source, asked = judged.experiment.source, judged.asked
    kind = judged.look.kind
    sheet = map_sheet(
        judged.seen,
        judged.marks,
        judged.outlined,
        judged.own[:, MEASURES.index("iou")],
        classes=judged.experiment.task.classes,
        values=source.spec[source.pixels].values,
        each=each,
        seed=asked.seed,
    )
    return [
        Heading(f"Class activation maps of {name}", 1),
        Text("Research software: not for diagnosis."),
        Text(
            f"{kind[0].upper()}{kind[1:]} of "
            f"{_WHOSE.get(asked.of_class, asked.of_class)}, on the {asked.split} "
            f"examples of {source.name}; regions: {judged.regions.origin}. "
            f"{len(judged.seen)} images have a region, {len(judged.regions.left_out)} "
            "were left out."
        ),
        *map_sections(tree),
        *class_section(by_class),
        Heading("Images"),
        Picture("overlays", sheet, "Maps and regions over the images", ""),
        *_left_out(judged.regions),
    ]


def _left_out(regions: Regions) -> list[Block]:
    """Who was left out, and why."""
    reasons: dict[str, list[str]] = {}
    for name, why in regions.left_out.items():
        reasons.setdefault(why, []).append(name)
    lines = [f"{why}: {_some(names)}" for why, names in reasons.items()]
    if regions.strangers:
        lines.append(f"{regions.strangers} pictures of the folder are of no example")
    return [Heading("Left out"), Listing(lines)] if lines else []


def _some(names: Sequence[str]) -> str:
    more = ", …" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more} ({len(names)} in all)"
