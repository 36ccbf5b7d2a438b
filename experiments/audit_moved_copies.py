"""How many mirrored and cropped copies the audit finds in real pictures.

    python experiments/audit_moved_copies.py --manual_dir ../shared/data

Of BUSI's images and the middle frames of POCUS's videos some are copied: changed, at
another contrast and through JPEG. The audit then looks for them among all originals.
Told are the share that it finds, beside the share that plain thumbnails find, and what
it finds between groups of the sets as they are: false alarms, unless they are copies
that the groups do not know of. Writes experiments/results/audit_moved_copies.json.
"""

import argparse
import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ultrasound_jax.data.audit import moved
from ultrasound_jax.data.audit.thumbnails import COPY
from ultrasound_jax.media.near_duplicates import THRESHOLD, thumbnail
from ultrasound_jax.runs import provenance
from ultrasound_jax.runs.bar import watched
from ultrasound_jax.runs.files import write_whole

RESULT = Path(__file__).parent / "results/audit_moved_copies.json"
COPIED = 40  # pictures, one a group
SIDE = 256  # pixels that POCUS's frames are fitted to, aspect kept
QUALITY, CONTRAST = 85, 0.9  # of the copies


def cut(top: float, bottom: float, left: float, right: float) -> Callable:
    """Crops by shares of the sides."""

    def change(picture: np.ndarray) -> np.ndarray:
        height, width = picture.shape
        rows = slice(round(height * top), height - round(height * bottom))
        return picture[rows, round(width * left) : width - round(width * right)]

    return change


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mirrored": lambda picture: picture[:, ::-1],
    "cropped by 2 % a side": cut(0.02, 0.02, 0.02, 0.02),
    "cropped by 4 % a side": cut(0.04, 0.04, 0.04, 0.04),
    "cropped by 7 % a side": cut(0.07, 0.07, 0.07, 0.07),
    "cropped by 4 % a side, mirrored": lambda picture: cut(0.04, 0.04, 0.04, 0.04)(
        picture
    )[:, ::-1],
    "cropped by 4 % of one side": cut(0.0, 0.04, 0.0, 0.0),
    "cropped by 12 % a side": cut(0.12, 0.12, 0.12, 0.12),
}


class Pictures:
    """What the search reads of a source: a picture by its place."""

    pixels = "image"

    def __init__(self, pictures: Sequence[np.ndarray]) -> None:
        self.records = [{"image": picture[..., None]} for picture in pictures]


def busi(folder: Path) -> Iterator[tuple[str, str, np.ndarray]]:
    """Name, group and picture of each image."""
    with (folder / "busi/groups.csv").open() as file:
        for row in csv.DictReader(file):
            path = folder / "busi/Dataset_BUSI_with_GT" / row["file"]
            yield row["file"], row["dup_group"], _grey(cv2.imread(str(path)))


def pocus(folder: Path) -> Iterator[tuple[str, str, np.ndarray]]:
    """Name, group and middle frame of each video."""
    with (folder / "pocus/groups.csv").open() as file:
        for row in csv.DictReader(file):
            if row["kind"] == "video":
                film = cv2.VideoCapture(str(folder / "pocus" / row["path"]))
                frame = None
                for _ in range(int(row["frames"]) // 2 + 1):
                    fine, read = film.read()
                    frame = read if fine else frame
                picture = _grey(frame)
                scale = SIDE / max(picture.shape)
                size = [max(1, round(n * scale)) for n in picture.shape[::-1]]
                small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
                yield Path(row["path"]).name, row["group"], small


def _grey(picture: np.ndarray | None) -> np.ndarray:
    if picture is None:
        raise SystemExit("error: a picture of the set cannot be read")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))


def copied(picture: np.ndarray, change: Callable) -> np.ndarray:
    """A changed picture at another contrast and through JPEG."""
    paler = np.ascontiguousarray(change(picture) * CONTRAST + 10).astype(np.uint8)
    coded = cv2.imencode(".jpg", paler, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE))


def search(pictures: Sequence[np.ndarray], sides: Sequence[str]) -> Any:
    """What the audit's search finds between sides."""
    found, _, left_out = moved.moved_copies(
        Pictures(pictures),  # type: ignore[arg-type]  (all that it reads of a source)
        np.arange(len(pictures)),
        sides,
        known=set(),
        threshold=THRESHOLD,
        least_detail=COPY,
        watch=watched,
    )
    return found, left_out


def measured(pictures: Sequence[tuple[str, str, np.ndarray]]) -> dict[str, Any]:
    """Shares found by change, and what is found in the set as it is."""
    names, groups, shown = zip(*pictures, strict=True)
    rng = np.random.default_rng(0)
    firsts = sorted({group: i for i, group in reversed([*enumerate(groups)])}.values())
    chosen = sorted(rng.choice(firsts, COPIED, replace=False).tolist())
    found: dict[str, Any] = {}
    plain = {i: thumbnail(shown[i]).ravel() for i in chosen}
    for name, change in CHANGES.items():
        copies = [copied(shown[i], change) for i in chosen]
        sides = ["original"] * len(shown) + ["copy"] * len(copies)
        pairs, _ = search([*shown, *copies], sides)
        hits = {tuple(sorted((pair.first, pair.second))) for pair in pairs}
        seen = [
            np.corrcoef(plain[i], thumbnail(copy).ravel())[0, 1] > THRESHOLD
            for i, copy in zip(chosen, copies, strict=True)
        ]
        either = [
            by_thumbnail or (i, len(shown) + k) in hits
            for k, (i, by_thumbnail) in enumerate(zip(chosen, seen, strict=True))
        ]
        found[name] = {
            "found": int(sum(either)),
            "by plain thumbnails": int(sum(seen)),
            "of": len(chosen),
        }
    pairs, left_out = search(shown, groups)
    return {
        "pictures": len(shown),
        "groups": len(set(groups)),
        "copies": found,
        "between groups of the set itself": [
            {
                "one": names[pair.first],
                "other": names[pair.second],
                "how": str(pair.view),
                "correlation": round(pair.correlation, 3),
                "detail": round(pair.detail, 3),
            }
            for pair in sorted(pairs, key=lambda pair: -pair.detail)
        ],
        "candidates left out": left_out,
    }


def main() -> None:
    """Measures both sets and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manual_dir", type=Path, required=True)
    given = parser.parse_args()
    sets = {"busi": busi, "pocus": pocus}
    result = {name: measured([*read(given.manual_dir)]) for name, read in sets.items()}
    tree = {"run": provenance.facts(), "sets": result}
    write_whole(RESULT, json.dumps(tree, indent=1) + "\n")
    print(f"wrote {RESULT}")


if __name__ == "__main__":
    main()
