"""How often is text inside the fan found, and how often is a clean recording listed?

    python experiments/overlay_rates.py --data DIR --work rates.jsonl

DIR holds `pocus`, and may hold `busi` and `dicom_us`. Writes
`experiments/results/overlay_rates.json`; some minutes on one core. What is done stands
in the file `--work`, so that the same command goes on where it was interrupted.

Text is made (`made_marks.py`) and drawn over every second group of POCUS patients; on
the other groups, with other seeds, the limits of `dicom/clean/text_lines.py` were
chosen. A cine is at most 64 of its frames, evenly spaced, encoded anew with or without
text; then at most 32 of them are looked at as when a file is converted. All 131 videos
were looked at by eye: none has text inside its fan, six have a scale's dots along its
edge; all of them count as clean. One of these videos had been listed for a layer of
tissue (Vir_liftl_H1N1_case2_clip2); the rule for single strokes was sharpened for it.

BUSI's pictures are stills as they were published; many have text and calipers in them.
Every second one is looked at, and those that are listed are named.
"""

import argparse
import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from made_marks import CODECS, INKS, Mark, make_mark, through

from ultrasound_jax.dicom.clean.cleaning import CleanSettings, plan_cleaning
from ultrasound_jax.dicom.clean.find_fan import fit_fan
from ultrasound_jax.dicom.clean.overlays import find_overlays
from ultrasound_jax.dicom.clean.pixel_statistics import MomentsBuilder, spread_out
from ultrasound_jax.dicom.read.decode import open_cine
from ultrasound_jax.runs import provenance
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.types import InputError

RESULTS = Path(__file__).parent / "results/overlay_rates.json"
SEED = 20261  # of what is measured; limits were chosen with others
MOST, LOOKED_AT = 64, 32
SHARES = (0.2, 0.8)  # of a cine, for which text that comes and goes is shown
STILLS = ("raw", "jpeg 95", "jpeg 75")


def measured(data: Path) -> list[Path]:
    """The videos of every second group, in the order of their names."""
    with (data / "pocus/groups.csv").open(encoding="utf-8") as sheet:
        rows = [row for row in csv.DictReader(sheet) if row["kind"] == "video"]
    groups = set(sorted({row["group"] for row in rows})[1::2])
    return sorted(data / "pocus" / r["path"] for r in rows if r["group"] in groups)


def decoded(path: Path) -> list[np.ndarray]:
    """At most `MOST` grey frames of a video, evenly spaced."""
    with av.open(str(path)) as box:
        frames = [frame.to_ndarray(format="gray") for frame in box.decode(video=0)]
    return frames[:: max(1, -(-len(frames) // MOST))]


def listed(frames: list[np.ndarray]) -> bool:
    """Whether these frames would be listed for marks inside the fan."""
    builder = MomentsBuilder()
    for index in spread_out(len(frames), LOOKED_AT):
        builder.add(frames[index])
    moments = builder.finish()
    fit = fit_fan(moments)
    whole = np.ones(moments.mean.shape, bool)
    return find_overlays(moments, fit.mask if fit else whole).suspected


def fan_of(frames: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The mean of some frames, and where their fan is."""
    builder = MomentsBuilder()
    for index in spread_out(len(frames), LOOKED_AT):
        builder.add(frames[index])
    moments = builder.finish()
    fit = fit_fan(moments)
    return moments.mean, fit.mask if fit else np.ones(moments.mean.shape, bool)


def cines(index: int, path: Path) -> Iterator[dict[str, Any]]:
    """A video as it is, encoded anew, and with text that stays or that does not."""
    frames = decoded(path)
    mean, inside = fan_of(frames)
    yield {"kind": "cine", "codec": "as it is", "ink": "", "listed": listed(frames)}
    for turn, ink in enumerate(("", *INKS, INKS[index % len(INKS)])):
        rng = np.random.default_rng([SEED, index, turn])
        codec = CODECS[(5 * index + turn) % len(CODECS)]
        marked, part = frames, turn > len(INKS)
        mark = make_mark(rng, mean, inside, ink) if ink else None
        if ink and mark is None:
            continue
        if mark is not None:
            length = len(frames)
            share = rng.uniform(*SHARES) if part else 1.0
            start = int(rng.uniform(0, 1 - share) * length)
            shown = range(start, start + max(1, round(share * length)))
            marked = [mark.on(f) if t in shown else f for t, f in enumerate(frames)]
        row = {"kind": "cine", "codec": codec, "ink": ink, "part": part}
        yield row | told(mark) | {"listed": listed(through(marked, codec))}


def stills(index: int, path: Path) -> Iterator[dict[str, Any]]:
    """A frame of a video as a still, with text and without."""
    frames = decoded(path)
    frame = frames[len(frames) // 3]
    _, inside = fan_of(frames)
    calm = cv2.blur(frame, (5, 5)).astype(np.float32)
    for turn, ink in enumerate(("", *INKS)):
        rng = np.random.default_rng([SEED, index, 100 + turn])
        codec = STILLS[(index + turn) % len(STILLS)]
        mark = make_mark(rng, calm, inside, ink) if ink else None
        if ink and mark is None:
            continue
        shown = frame if mark is None else mark.on(frame)
        row = {"kind": "still", "codec": codec, "ink": ink, "part": False}
        yield row | told(mark) | {"listed": listed(through([shown], codec))}


def told(mark: Mark | None) -> dict[str, Any]:
    """What is kept of a text."""
    return {"height": mark.height, "level": mark.level} if mark else {}


def breast(path: Path) -> Iterator[dict[str, Any]]:
    """One of BUSI's pictures, without the scanner's sign in its corner."""
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise InputError(f"{path.name} is no picture that can be read")
    inside = np.zeros(picture.shape, bool)
    inside[3:-3, 3:-3] = True
    inside[:40, :80] = False
    builder = MomentsBuilder()
    builder.add(picture)
    found = find_overlays(builder.finish(), inside)
    yield {"kind": "busi", "name": path.stem, "listed": found.suspected}


def scanned(path: Path) -> Iterator[dict[str, Any]]:
    """A DICOM file as `convert` sees it."""
    with open_cine(path) as cine:
        review = " ".join(plan_cleaning(cine, CleanSettings()).review)
        frames = cine.header.frames
    found = "marks inside the fan" in review
    yield {"kind": "dicom", "name": path.name, "frames": frames, "listed": found}


def work(data: Path) -> dict[str, Any]:
    """What there is to do: a name, and a function that gives its rows."""
    jobs: dict[str, Any] = {}
    for index, path in enumerate(measured(data)):
        jobs[f"cine {path.name}"] = lambda i=index, p=path: cines(i, p)
        jobs[f"still {path.name}"] = lambda i=index, p=path: stills(i, p)
    folder = data / "busi/Dataset_BUSI_with_GT"
    pictures = sorted(p for p in folder.rglob("*.png") if "mask" not in p.name)
    for path in pictures[1::2]:
        jobs[f"busi {path.stem}"] = lambda p=path: breast(p)
    for path in sorted((data / "dicom_us").rglob("*")):
        if path.is_file() and path.suffix not in (".csv", ".md"):
            jobs[f"dicom {path.name}"] = lambda p=path: scanned(p)
    return jobs


def counts(rows: list[dict[str, Any]]) -> list[int]:
    """How many are listed, and of how many."""
    return [sum(row["listed"] for row in rows), len(rows)]


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts by codec, by kind of text, and of stills and files."""
    cine = [row for row in rows if row["kind"] == "cine"]
    stays = [row for row in cine if row["ink"] and not row["part"]]
    passes = [row for row in cine if row["ink"] and row["part"]]
    still = [row for row in rows if row["kind"] == "still"]
    return {
        "codecs": {
            codec: {
                "text": counts([row for row in stays if row["codec"] == codec]),
                "part": counts([row for row in passes if row["codec"] == codec]),
                "clean": counts(
                    [r for r in cine if not r["ink"] and r["codec"] == codec]
                ),
            }
            for codec in ("as it is", *CODECS)
        },
        "texts": {
            f"{ink}, {low} to {high - 1} px": counts(
                [r for r in stays if r["ink"] == ink and low <= r["height"] < high]
            )
            for ink in INKS
            for low, high in ((7, 10), (10, 16), (16, 41))
        },
        "stills": {ink: counts([r for r in still if r["ink"] == ink]) for ink in INKS}
        | {"clean": counts([row for row in still if not row["ink"]])},
        **{
            kind: {
                "counts": counts([row for row in rows if row["kind"] == kind]),
                "listed": [
                    row["name"] for row in rows if row["kind"] == kind and row["listed"]
                ],
            }
            for kind in ("busi", "dicom")
        },
    }


def main() -> None:
    """Does what is not done yet, and writes the results."""
    parser = argparse.ArgumentParser(description="Rates of text found in the fan.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    commit, done = provenance.commit(), {}
    if arguments.work.exists():
        for line in arguments.work.read_text().splitlines():
            entry = json.loads(line)
            if entry["commit"] == commit:
                done[entry["job"]] = entry["rows"]
    jobs = work(arguments.data)
    with arguments.work.open("a") as kept:
        for number, (job, make) in enumerate(jobs.items(), 1):
            if job not in done:
                done[job] = list(make())
                entry = {"commit": commit, "job": job, "rows": done[job]}
                kept.write(json.dumps(entry) + "\n")
                kept.flush()
            if number % 20 == 0 or number == len(jobs):
                print(f"{number} of {len(jobs)}", flush=True)
    rows = [row for job in jobs for row in done[job]]
    tree = {"run": provenance.facts(), "seed": SEED, **summary(rows)}
    write_whole(RESULTS, json.dumps(tree, indent=1) + "\n")


if __name__ == "__main__":
    main()
