"""What `convert` says at its end, and the table that it leaves."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.runs.spreadsheet import people_csv

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
    "name",
    "region_index",
    "damaged",
    "withheld",
    "black",
)


def lines_of(
    reasons: Mapping[str, str],
    names: Iterable[tuple[str, str]],
    results: Mapping[str, dict[str, Any]],
) -> list[dict[str, Any]]:
    """The table: a line for each region that was cut out, or why there is none.

    Args:
        reasons: of every video of the index, in its order; "" where it was converted.
        names: pairs of a video and of what the names of its files begin with.
        results: by the latter.
    """
    by_video: dict[str, list[dict[str, Any]]] = {}
    for video_id, name in names:
        by_video.setdefault(video_id, []).append(results[name] | {"name": name})
    table = []
    for video_id, reason in reasons.items():
        skipped = {"video_id": video_id, "status": "skipped", "reason": reason}
        table += by_video.get(video_id, [skipped])
    return table


def report(table: Sequence[dict[str, Any]], earlier: int) -> list[str]:
    """The lines that a run ends with."""
    good = [row for row in table if row["status"] == "ok"]
    files, frames = (sum(row[name] for row in good) for name in ("files", "frames"))
    lines = [
        f"{len(good)} of {len(table)} files converted: {frames} frames, {files} files"
    ]
    for what in ("withheld", "damaged"):
        left = [row for row in good if row[what]]
        if left:
            count = sum(row[what] for row in left)
            lines.append(f"{count} frames of {len(left)} videos are {what}: black")
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
        lines += [
            f"  {row.get('name') or row['video_id']}: {'; '.join(row['review'])}"
            for row in review
        ]
    return lines


def write_table(path: Path, table: Sequence[dict[str, Any]]) -> None:
    """Writes what became of every video, whole or not at all."""
    rows: list[list[Any]] = [list(COLUMNS)]
    for row in table:
        joined = {k: "; ".join(v) if isinstance(v, list) else v for k, v in row.items()}
        rows.append([joined.get(name, "") for name in COLUMNS])
    write_whole(path, people_csv(rows))


def leftovers(out: Path, to: str, wanted: Collection[str]) -> list[str]:
    """The videos that earlier runs have left in `out`, other than those `wanted`.

    A patient who has withdrawn, or a file that turned out to be a duplicate, must not
    be given away unseen.
    """
    ending = f".{to}.json"
    names = (path.name.removesuffix(ending) for path in out.glob(f"*{ending}"))
    return sorted(name for name in names if name not in wanted)
