"""What `convert` says at its end, and the table that it leaves."""

import csv
import io
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from ultrasound_jax.runs.files import write_whole

COLUMNS = (
    "video_id",
    "status",
    "reason",
    "files",
    "frames",
    "rows",
    "columns",
    "frame_rate",
    "fan",
    "fan_kept",
    "review",
    "notes",
    "withheld",
    "black",
)


def report(table: Sequence[dict[str, Any]], earlier: int) -> list[str]:
    """The lines that a run ends with."""
    good = [row for row in table if row["status"] == "ok"]
    files, frames = (sum(row[name] for row in good) for name in ("files", "frames"))
    lines = [
        f"{len(good)} of {len(table)} files converted: {frames} frames, {files} files"
    ]
    left = [row for row in good if row["withheld"]]
    if left:
        count = sum(row["withheld"] for row in left)
        lines.append(f"{count} frames of {len(left)} videos are withheld: black")
    if earlier:
        lines.append(f"{earlier} of them by an earlier run")
    reasons = Counter(row["reason"] for row in table if row["status"] != "ok")
    lines += [f"  {count} not: {reason}" for reason, count in reasons.most_common()]
    fans = Counter(row["fan"] for row in good)
    if fans:
        lines.append(
            "fans: " + ", ".join(f"{n} {kind}" for kind, n in fans.most_common())
        )
    review = [row for row in good if row["review"]]
    if review:
        lines.append(f"review these {len(review)} before you give them away:")
        lines += [f"  {row['video_id']}: {'; '.join(row['review'])}" for row in review]
    return lines


def write_table(path: Path, table: Sequence[dict[str, Any]]) -> None:
    """Writes what became of every video, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list[str](COLUMNS), restval="", lineterminator="\n")
    writer.writeheader()
    for row in table:
        joined = {k: "; ".join(v) if isinstance(v, list) else v for k, v in row.items()}
        writer.writerow(joined)
    write_whole(path, text.getvalue())


def leftovers(out: Path, to: str, wanted: Collection[str]) -> list[str]:
    """The videos that earlier runs have left in `out`, other than those `wanted`.

    A patient who has withdrawn, or a file that turned out to be a duplicate, must not
    be given away unseen.
    """
    ending = f".{to}.json"
    names = (path.name.removesuffix(ending) for path in out.glob(f"*{ending}"))
    return sorted(name for name in names if name not in wanted)
