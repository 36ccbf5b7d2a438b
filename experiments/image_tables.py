"""The tables of docs/images_study.md, of whatever jobs of the study have run.

`experiments/readme_tables.py` writes them. A job without results is no row: nothing
stands in a table that no file says.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ultrasound_jax.study.job_tables import (
    JobTables,
    difference,
    minutes,
    published,
)

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "experiments/results"
COMMAND = "`python experiments/images_study.py --manual_dir DIR --weights FILE`"
NETWORKS = ("breast_cnn", "resnet_attention", "image_classifier")
AUGMENTS = {
    "none": "none",
    "flip_rotate": "flip, rotate",
    "trivial": "TrivialAugment",
    "fast": "Fast AutoAugment",
    "random": "random policies",
}
TUNED = {
    "probe": "linear probe",
    "head": "last stages, from the probe's own head",
    "frozen": "frozen, a linear layer by gradient steps",
    "last": "last stages",
    "last_mirrored": "last stages, averaged over mirror images",
    "whole": "whole",
    "phantom_last": "last stages, by way of the phantom",
}


def read(name: str) -> Any:
    """What a job found, None if it has not run."""
    path = RESULTS / f"images_{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


JOBS = JobTables("images_", COMMAND, read)


def cell(level: dict[str, Any], name: str) -> str:
    """A number with its interval."""
    value, interval = level[name], level[f"{name}_ci"]
    if value is None:
        return "not defined"
    shown = f"{value:.3f}"
    return shown + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def level_of(found: dict[str, Any]) -> dict[str, Any]:
    """The numbers of the level that is told: images, or videos of clips."""
    tree = found["out_of_fold"]
    return tree["video_mean"] if "video_mean" in tree else tree["image"]


def against(found: dict[str, Any], reference: str = "") -> str:
    """The difference of macro AUROC to a reference, and the p of its paired test.

    It is the first that the job was compared with, or the one whose name ends so.
    """
    known = [o for o in found.get("against", ()) if o["reference"].endswith(reference)]
    if not known:
        return ""
    rows = {row["class"]: row for row in known[0]["differences"]}
    row = rows.get("macro")
    if row is None:
        return "not defined"
    return difference(row)


def sizes(found: dict[str, Any]) -> str:
    """Pixels, frames and epochs of a job."""
    of = found["job"]["sizes"]
    words = [f"{of['pixels']} px"]
    if "frames" in of:
        words.append(f"{of['frames']} frames")
    if "epochs" in of:
        words.append(f"{of['epochs']} epochs")
    return ", ".join(words)


def busi_tuned() -> str:
    """The encoder fine-tuned on BUSI, beside its own probe."""
    rows = {}
    for part, words in TUNED.items():
        if found := read(name := f"busi_{part}"):
            level = level_of(found)
            numbers = [cell(level, n) for n in ("macro_auroc", "accuracy", "macro_f1")]
            about = [against(found), sizes(found), minutes(found)]
            rows[name] = [words, *numbers, *about]
    titles = ["BUSI, by group", "macro AUROC", "accuracy", "macro F1"]
    return JOBS.table([*titles, "AUROC minus the probe's", "size", "minutes"], rows)


def pocus_tuned() -> str:
    """The encoder fine-tuned on POCUS in two networks, beside its own probe."""
    rows = {}
    names = {"pocus_probe": "linear probe"} | {
        f"pocus_{short}_{part}": f"{network}, {TUNED[part]}"
        for short, network in (("vote", "frame vote"), ("luvnet", "LUV-Net"))
        for part in ("head", "frozen", "last", "last_mirrored", "whole")
        if (short, part) != ("luvnet", "head")
    }
    for name, words in names.items():
        if found := read(name):
            tree = found["out_of_fold"]
            numbers = [cell(tree[at], "macro_auroc") for at in ("clip", "video_mean")]
            rows[name] = [words, *numbers, against(found), sizes(found), minutes(found)]
    titles = ["POCUS, by patient", "macro AUROC, clips", "videos"]
    return JOBS.table([*titles, "clips, minus the probe's", "size", "minutes"], rows)


def augmented() -> str:
    """Networks against augmentations on BUSI, mixed-label groups kept and dropped."""
    rows = {}
    for network in NETWORKS:
        for augment, words in AUGMENTS.items():
            if found := read(name := f"table_{network}_{augment}"):
                level, without = level_of(found), found["without_mixed_groups"]
                dropped = cell(without, "accuracy") if "accuracy" in without else ""
                numbers = [
                    cell(level, n) for n in ("accuracy", "macro_f1", "macro_auroc")
                ]
                about = [against(found), sizes(found), minutes(found)]
                rows[name] = [network, words, *numbers, dropped, *about]
    titles = ["network", "augmentation", "accuracy", "macro F1", "macro AUROC"]
    titles += ["accuracy without mixed groups", "AUROC minus no augmentation"]
    return JOBS.table([*titles, "size", "minutes"], rows)


def searched() -> str:
    """Whether a search pays: against nothing, and against policies nobody chose."""
    rows = {}
    for network in NETWORKS:
        fast, random = (read(f"table_{network}_{a}") for a in ("fast", "random"))
        if fast and random:
            cells = [against(fast, "none"), against(random, "none")]
            cells.append(against(fast, "random"))
            cells.append(minutes(read(f"search_{network}")))
            rows[f"table_{network}_fast"] = [network, *cells]
    titles = ["macro AUROC", "searched minus none", "random minus none"]
    return JOBS.table([*titles, "searched minus random", "minutes of the search"], rows)


def by_image() -> str:
    """What a split by image adds to the same network's numbers."""
    rows = {}
    pairs = {"by_image_probe": ("linear probe", "busi_probe")}
    pairs |= {f"by_image_{n}": (n, f"table_{n}_none") for n in NETWORKS}
    for name, (words, other) in pairs.items():
        image, group = read(name), read(other)
        if image and group:
            one, two = level_of(image), level_of(group)
            cells = [words]
            for number in ("accuracy", "macro_auroc"):
                cells += [cell(two, number), cell(one, number)]
                cells.append(f"{one[number] - two[number]:+.3f}")
            rows[name] = [*cells, sizes(image)]
    titles = ["no augmentation", "accuracy, by group", "by image", "more"]
    titles += ["macro AUROC, by group", "by image", "more", "size"]
    return JOBS.table(titles, rows)


def judged_elsewhere() -> str:
    """Each fold's network on another set."""
    rows = {}
    for path in sorted(RESULTS.glob("images_elsewhere_*.json")):
        name = path.stem.removeprefix("images_")
        found = read(name)
        own = read(name.removeprefix("elsewhere_"))
        values = [value for value in found["macro_auroc"] if value is not None]
        spread = f"{min(values):.3f} to {max(values):.3f}" if values else "not defined"
        here = f"{level_of(own)['macro_auroc']:.3f}" if own else ""
        run = found["job"]["sizes"]["run"]
        rows[name] = [run, found["dataset"], str(found["n"]["patients"]), here, spread]
    titles = ["run", "other set", "its patients", "macro AUROC at home"]
    return JOBS.table([*titles, "elsewhere, of the folds' networks"], rows)


def of_others() -> str:
    """What others have reached, by which kind of split."""
    known = json.loads((ROOT / "experiments/published.json").read_text())
    return published([*known["breasts"], *known["lungs"]])


TABLES: dict[str, Callable[[], str]] = {
    "images_busi": busi_tuned,
    "images_pocus": pocus_tuned,
    "images_augmented": augmented,
    "images_search": searched,
    "images_by_image": by_image,
    "images_elsewhere": judged_elsewhere,
    "images_published": of_others,
}
