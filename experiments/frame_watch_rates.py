"""How many clean frames are withheld, and how many made screens and names are caught?

    python experiments/frame_watch_rates.py --data ../shared/data

Goes through the 131 lung videos of POCUS and the cines among the public DICOM files as
`convert` would: unchanged, and with frames that do not belong there: whole screens put
in place of frames, and names drawn into the fan, of many lengths, sizes and greys, at
random places and times. Writes `experiments/results/frame_watch_rates.json`; takes
about ten minutes on two cores.

A trial is caught if every frame that was altered is withheld. Text counts where it can
be read: its strokes differ from the echoes under them by `LEGIBLE` grey levels or more.
"""

import argparse
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ultrasound_jax.dicom.clean.cleaning import CleanSettings, plan_cleaning
from ultrasound_jax.dicom.clean.frame_watch import FrameWatch, Watched
from ultrasound_jax.dicom.read.decode import open_cine
from ultrasound_jax.dicom.read.header import CineHeader
from ultrasound_jax.media.video import Damage, pyav_frames
from ultrasound_jax.runs import provenance
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.types import InputError

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "experiments/results/frame_watch_rates.json"
DICOM = "fo-dicom+fo-dicom/DIRW0007"  # the one public cine of more than two frames
LEGIBLE = 50
NAMES = (
    "DOE^JANE",
    "DOE 1950",
    "MRN 555123",
    "SMITH JOHN 12/03/61",
    "Mueller, Anna",
    "ID 4711",
    "KIM",
    "GARCIA L",
)
LETTERS = (8, 10, 12, 16, 24)  # height in pixels of a picture of 720 rows
GREYS = (255, 255, 230, 200, 160, 0, 10)
FACES = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX)
Frame = np.ndarray
Draw = Callable[[Frame, np.random.Generator, list[Frame]], Frame]


@dataclass(frozen=True)
class Clip:
    """A cine in memory, as a cine that is cleaned; `source` says what it is of."""

    name: str
    source: str
    clip: list[Frame]
    header: CineHeader

    def frames(self) -> Iterator[Frame]:
        """Its frames."""
        yield from self.clip


def cines(data: Path) -> Iterator[Clip]:
    """The real cines, one at a time."""
    with open_cine(data / "dicom_us" / DICOM) as cine:
        header = cine.header
        yield Clip(DICOM, "dicom", list(cine.frames()), header)
    for path in sorted((data / "pocus/data/pocus_videos").rglob("*")):
        if path.is_file():
            clip = [frame.pixels for frame in pyav_frames(path, Damage())]
            rows, columns = clip[0].shape
            shape = {"rows": rows, "columns": columns, "frames": len(clip)}
            plain = replace(header, regions=(), **shape)
            yield Clip(path.stem, "video", clip, plain)


def watched(clip: list[Frame], mask: np.ndarray | None) -> Watched:
    """What is withheld of these frames."""
    watch = FrameWatch()
    for frame in clip:
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) if frame.ndim == 3 else frame
        watch.look(grey)
    return watch.judge(mask)


def named(frame: Frame, mask: np.ndarray, rng: np.random.Generator) -> Frame | None:
    """The frame with a name on it, inside the mask; None where there is no room."""
    height, width = mask.shape
    text, face = str(rng.choice(NAMES)), int(rng.choice(FACES))
    tall = max(8, round(float(rng.choice(LETTERS)) * height / 720))
    thick, line = max(1, round(tall / 12)), int(rng.choice((cv2.LINE_8, cv2.LINE_AA)))
    scale = tall / cv2.getTextSize(text, face, 1, 1)[0][1]
    across, up = cv2.getTextSize(text, face, scale, thick)[0]
    grey, (ys, xs) = int(rng.choice(GREYS)), np.nonzero(mask)
    for place in rng.integers(len(ys), size=300):
        x, y = int(xs[place]), int(ys[place])
        if (
            y < up
            or x + across >= width
            or not mask[y - up : y + 1, x : x + across].all()
        ):
            continue
        drawn = frame.copy()
        cv2.putText(drawn, text, (x, y), face, scale, (grey,) * 3, thick, line)
        return drawn
    return None


def legible(before: Frame, after: Frame) -> bool:
    """Whether strokes differ enough from what is under them."""
    change = cv2.absdiff(before, after)
    change = change if change.ndim == 2 else change.max(axis=2)
    return (
        float(np.median(change[change > 8], axis=None)) >= LEGIBLE
        if (change > 8).any()
        else False
    )


def _lines(screen: Frame, rng: np.random.Generator, grey: int, count: int) -> Frame:
    rows, columns = screen.shape[:2]
    for _ in range(count):
        tall = max(8, rows * float(rng.choice((0.015, 0.025, 0.04))))
        at = int(columns * rng.uniform(0.05, 0.5)), int(rows * rng.uniform(0.1, 0.9))
        scale, thick = tall / 22, max(1, round(tall / 12))
        text = f"{rng.choice(NAMES)}  {rng.integers(1e6)}"
        cv2.putText(screen, text, at, FACES[0], scale, (grey,) * 3, thick, cv2.LINE_AA)
    return screen


def _report(frame: Frame, rng: np.random.Generator, others: list[Frame]) -> Frame:
    return _lines(np.zeros_like(frame), rng, 230, 12)


def _page(frame: Frame, rng: np.random.Generator, others: list[Frame]) -> Frame:
    return _lines(np.full_like(frame, 245), rng, 10, 16)


def _worksheet(frame: Frame, rng: np.random.Generator, others: list[Frame]) -> Frame:
    screen = np.full_like(frame, 60)
    rows, columns = frame.shape[:2]
    for row in range(1, 8):
        y = row * rows // 8
        cv2.line(screen, (0, y), (columns, y), (140,) * 3, 1)
    return _lines(screen, rng, 220, 10)


def _label(frame: Frame, rng: np.random.Generator, others: list[Frame]) -> Frame:
    mask = np.zeros(frame.shape[:2], bool)
    rows, columns = mask.shape
    mask[rows // 4 : 3 * rows // 4, columns // 5 :] = True
    drawn = named(np.zeros_like(frame), mask, rng)
    while drawn is None or drawn.max() < 100:
        drawn = named(np.zeros_like(frame), mask, rng)
    return drawn


def _still(frame: Frame, rng: np.random.Generator, others: list[Frame]) -> Frame:
    other = others[rng.integers(len(others))]
    size = frame.shape[1::-1]
    other = cv2.resize(other, size, interpolation=cv2.INTER_LINEAR)
    return other if frame.ndim == 2 else np.repeat(other[..., None], 3, axis=2)


def _inverted(frame: Frame, rng: np.random.Generator, others: list[Frame]) -> Frame:
    return 255 - frame


def _dual(frame: Frame, rng: np.random.Generator, others: list[Frame]) -> Frame:
    rows, columns = frame.shape[:2]
    half = cv2.resize(frame, (columns // 2, rows // 2), interpolation=cv2.INTER_AREA)
    screen = np.zeros_like(frame)
    screen[rows // 4 :][: len(half), : columns // 2] = half
    screen[rows // 4 :][: len(half), columns // 2 :][:, : columns // 2] = half
    return screen


SCREENS: dict[str, Draw] = {
    "report, white on black": _report,
    "page, black on white": _page,
    "worksheet on grey": _worksheet,
    "a name on black": _label,
    "still of another cine": _still,
    "inverted": _inverted,
    "two half-size pictures": _dual,
}


def _run(rng: np.random.Generator, frames: int) -> tuple[int, int]:
    """Where a run of frames is put: of 1 to 40, at either end or between."""
    length = int(rng.choice((1, 1, 2, 3, 9, 40)))
    length = max(1, min(length, frames // 5))
    start = int(rng.integers(frames - length + 1))
    where = rng.random()
    return (0 if where < 0.15 else frames - length if where > 0.85 else start), length


def trial(
    cine: Clip,
    mask: np.ndarray | None,
    usual: set[int],
    kind: str,
    rng: np.random.Generator,
    others: list[Frame],
) -> dict[str, Any] | None:
    """One cine with one kind of frames put in; None where it could not be done."""
    clip = list(cine.clip)
    start, length = _run(rng, len(clip))
    seed = int(rng.integers(1 << 30))
    inside = np.ones(clip[0].shape[:2], bool) if mask is None else mask
    fade = "that fades in" in kind
    if fade:
        length = max(4, length)
    altered = range(start, min(start + length, len(clip)))
    readable = True
    foreign = None
    for place, index in enumerate(altered):
        if kind == "name in the fan":
            drawn = named(clip[index], inside, np.random.default_rng(seed))
            if drawn is None:
                return None
            readable &= legible(clip[index], drawn)
        else:
            if foreign is None:
                draw = SCREENS["report, white on black" if fade else kind]
                foreign = draw(clip[index], np.random.default_rng(seed), others)
            part = min(1.0, (place + 1) / 4) if fade else 1.0
            drawn = cv2.addWeighted(foreign, part, clip[index], 1 - part, 0)
        clip[index] = drawn
    withheld = {one.frame - 1 for one in watched(clip, mask).withheld}
    return {
        "kind": kind,
        "legible": readable,
        "source": cine.source,
        "name": cine.name,
        "start": start,
        "altered": len(altered),
        "caught": len(withheld & set(altered)),
        "needless": len(withheld - set(altered) - usual),
        "frames": len(clip),
    }


def summary(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """Rates over trials."""
    whole = sum(one["caught"] == one["altered"] for one in trials)
    altered = sum(one["altered"] for one in trials)
    return {
        "trials": len(trials),
        "caught": whole,
        "frames": altered,
        "frames_caught": sum(one["caught"] for one in trials),
        "other_frames": sum(one["frames"] - one["altered"] for one in trials),
        "other_frames_withheld": sum(one["needless"] for one in trials),
    }


def main() -> None:
    """Walks through all cines and writes the rates."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the shared data")
    parser.add_argument("--every", type=int, default=1, help="take every n-th cine")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    kinds = [*SCREENS, "report that fades in", "name in the fan", "name in the fan"]
    trials, clean, others = [], [], []
    for number, cine in enumerate(cines(args.data)):
        if number % args.every and number:
            others.append(cv2.resize(cine.clip[len(cine.clip) // 2], (400, 400)))
            continue
        try:
            plan = plan_cleaning(cine, CleanSettings(size=0))
        except InputError as error:
            clean.append({"name": cine.name, "refused": str(error)})
            continue
        left, top, right, bottom = plan.box
        cut = [frame[top : bottom + 1, left : right + 1] for frame in cine.clip]
        cine = replace(cine, clip=cut)
        usual = {one.frame - 1 for one in plan.watched.withheld}
        clean.append(
            {
                "name": cine.name,
                "frames": len(cut),
                "withheld": [list(one) for one in plan.watched.withheld],
                "black": len(plan.watched.black),
            }
        )
        if others:
            for place, kind in enumerate(kinds):
                rng = np.random.default_rng([number, place, zlib.crc32(kind.encode())])
                found = trial(cine, plan.mask, usual, kind, rng, others)
                if found is not None:
                    trials.append(found)
        middle = cut[len(cut) // 2]
        grey = middle if middle.ndim == 2 else cv2.cvtColor(middle, cv2.COLOR_RGB2GRAY)
        others.append(grey)
        print(number, cine.name[:40], len(usual), flush=True)
    seen = [row for row in clean if "frames" in row]
    tree = {
        "run": provenance.facts(),
        "clean": {
            "cines": len(seen),
            "frames": sum(row["frames"] for row in seen),
            "withheld": sum(len(row["withheld"]) for row in seen),
            "cines_with_withheld": sum(bool(row["withheld"]) for row in seen),
            "alarms": [
                {"frames": row["withheld"], "of": row["frames"], "cine": row["name"]}
                for row in seen
                if row["withheld"]
            ],
            "refused": len(clean) - len(seen),
        },
        "made": {
            kind: summary([t for t in trials if t["kind"] == kind and t["legible"]])
            for kind in dict.fromkeys(kinds)
        },
        "missed": [t for t in trials if t["legible"] and t["caught"] < t["altered"]],
        "needless": [t for t in trials if t["needless"]],
        "illegible": sum(not t["legible"] for t in trials),
    }
    write_whole(args.out, json.dumps(tree, indent=1) + "\n")
    for kind, rates in tree["made"].items():
        print(kind, rates)
    print({k: v for k, v in tree["clean"].items() if k != "alarms"})


if __name__ == "__main__":
    main()
