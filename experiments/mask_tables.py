"""The tables of docs/masks_study.md, of whatever jobs of the study have run.

`experiments/readme_tables.py` writes them. A job without results is no row: nothing
stands in a table that no file says.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ultrasound_jax.study.job_tables import (
    JobTables,
    difference,
    lines,
    minutes,
    published,
)

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "experiments/results"
COMMAND = "`python experiments/masks_study.py --manual_dir DIR --weights FILE`"
LESIONS = {
    "encoder": "U-Net, ImageNet encoder",
    "mirrored": "the same, averaged over mirror images",
    "bfloat16": "the same, computed in bfloat16",
    "unet": "U-Net from scratch",
    "mednext": "MedNeXt",
    "segnet": "demonstration's 1x1 convolutions",
    "segnet_skips": "its 3x3 convolutions with skips",
}
LUNGS = {"unet": "U-Net", "fusionlungnet": "FusionLungNet"}
KINDS = {
    "whole": "whole picture",
    "roi": "box of the found mask",
    "masked_roi": "the same, black outside of the mask",
    "true_roi": "box of the true mask",
}
# Beginnings of the numbers that are told -> digits.
OVERLAPS = {"mean_dice": 3, "mean_iou": 3}
DISTANCES = {"median_hd95": 1, "mean_nsd": 3}
RATES = {"miss_rate": 3, "false_positive_rate": 3}


def read(name: str) -> Any:
    """What a job found, None if it has not run."""
    path = RESULTS / f"masks_{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


JOBS = JobTables("masks_", COMMAND, read)


def level_of(found: dict[str, Any]) -> dict[str, Any]:
    """The numbers by image, or by slice."""
    return found["out_of_fold"][found["out_of_fold"]["units"][0]]


def named(level: dict[str, Any], start: str) -> str:
    """The number's whole name, which ends with its unit; "" where there is none."""
    known = [n for n in level if n.startswith(start) and not n.endswith("_ci")]
    return next((n for n in known if level[n] is not None), "")


def cell(level: dict[str, Any], start: str, digits: int) -> str:
    """A number with its interval and its unit."""
    name = named(level, start)
    if not name:
        return "not defined"
    interval = level.get(f"{name}_ci")
    unit = name.rpartition("_")[2] if "hd95" in name else ""
    shown = f"{level[name]:.{digits}f}" + (f" {unit}" if unit in ("px", "mm") else "")
    if not interval:
        return shown
    return f"{shown} [{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]"


def against(found: dict[str, Any]) -> str:
    """The difference of mean Dice to the reference, and the p of its paired test."""
    known = found.get("against", ())
    if not known:
        return ""
    return difference(known[0]["differences"][0])


def sizes(found: dict[str, Any]) -> str:
    """Pixels, width and epochs of a job."""
    of = found["job"]["sizes"]
    return f"{of['network']}, {of['pixels']} px, {of['epochs']} epochs"


def compared(kind: str, networks: dict[str, str], titles: Sequence[str]) -> str:
    """Networks on one set, each beside the first one."""
    rows = {}
    for network, words in networks.items():
        if found := read(name := f"{kind}_{network}"):
            level = level_of(found)
            starts = OVERLAPS | DISTANCES | RATES
            numbers = [cell(level, start, digits) for start, digits in starts.items()]
            rows[name] = [words, *numbers, against(found), sizes(found), minutes(found)]
    heads = ["Dice", "IoU", "HD95, median", "NSD", "missed", "found where nothing is"]
    return JOBS.table([titles[0], *heads, titles[1], "size", "minutes"], rows)


def lesions() -> str:
    """Lesions of BUSI."""
    titles = ["BUSI, lesions, by group", "Dice minus the first's"]
    return compared("busi", LESIONS, titles)


def lungs() -> str:
    """Lungs in CT slices."""
    return compared("lungs", LUNGS, ["lungs, by patient", "Dice minus the U-Net's"])


def lungs_elsewhere() -> str:
    """Each fold's network on the other part."""
    rows = {}
    for network, words in LUNGS.items():
        if found := read(name := f"elsewhere_{network}"):
            values = [value for value in found["mean_dice"] if value is not None]
            spread = f"{min(values):.3f} to {max(values):.3f}" if values else ""
            own = read(f"lungs_{network}")
            here = f"{level_of(own)['mean_dice']:.3f}" if own else ""
            rows[name] = [words, found["dataset"], str(found["n"]["patients"])]
            rows[name] += [here, spread or "not defined"]
    titles = ["network", "other set", "its patients", "Dice at home"]
    return JOBS.table([*titles, "elsewhere, of the folds' networks"], rows)


def stages() -> str:
    """Regions that a network found, classified, beside whole pictures."""
    found = read("stages")
    if not found:
        return JOBS.table([], {})
    rows = []
    macro = {
        row["model"]: difference(row)
        for row in found["differences"]
        if row["class"] == "macro"
    }
    for name, one in found["variants"].items():
        level = level_of(one)
        kind = KINDS[one["kind"]]
        margin = f"{one['margin']} %" if "_m" in name else ""
        numbers = [cell(level, key, 3) for key in ("macro_auroc", "accuracy")]
        rows.append([kind, margin, *numbers, macro.get(name, "")])
    titles = ["benign or malignant, by group", "margin", "AUROC", "accuracy"]
    titles.append("AUROC minus the whole picture's")
    missed = found["found"]
    note = (
        f"Nothing was found on {missed['nothing_found']} of {missed['cases']} "
        "pictures: the whole picture stands in their place. "
        f"{minutes(found)} minutes. {JOBS.notes(['stages'])}"
    )
    return "\n".join([*lines(titles, rows), "", note])


def of_others() -> str:
    """What others have reached, by which kind of split."""
    known = json.loads((ROOT / "experiments/published.json").read_text())
    return published(known["masks"])


TABLES: dict[str, Callable[[], str]] = {
    "masks_busi": lesions,
    "masks_lungs": lungs,
    "masks_elsewhere": lungs_elsewhere,
    "masks_stages": stages,
    "masks_published": of_others,
}
