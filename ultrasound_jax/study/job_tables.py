"""Tables in Markdown of whatever jobs of a study have run.

A job without results is no row: nothing stands in a table that no file says.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class JobTables:
    """Tables of one study.

    prefix: of its files in experiments/results. command: that makes them, as Markdown.
    read: what a job found by its name, None if it has not run.
    """

    prefix: str
    command: str
    read: Callable[[str], Any]

    def table(self, titles: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
        """The rows by the job that each is of; what it says where there are none."""
        if not rows:
            return f"Not run yet: {self.command}."
        return "\n".join([*lines(titles, rows.values()), "", self.notes([*rows])])

    def notes(self, names: Sequence[str]) -> str:
        """By which commits, when and where the rows of these jobs were made."""
        runs = [found["run"] for name in names if (found := self.read(name))]
        commits = sorted({run["commit"] for run in runs})
        machines = sorted({run["cpu"] for run in runs})
        files = ", ".join(
            f"[{name}](experiments/results/{self.prefix}{name}.json)" for name in names
        )
        return (
            f"By {self.command} at commit {', '.join(commits)}, "
            f"{min(run['date'] for run in runs)} to {max(run['date'] for run in runs)}"
            f", on {', '.join(machines)}: {files}."
        )


def lines(titles: Sequence[str], rows: Any) -> list[str]:
    """A table's lines."""
    head = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    return [*head, *(f"| {' | '.join(cells)} |" for cells in rows)]


def minutes(found: Mapping[str, Any]) -> str:
    """What a job took."""
    return f"{found.get('minutes_trained', found['job']['minutes']):.1f}"


def difference(row: Mapping[str, Any]) -> str:
    """A difference to a reference with its interval and the p of its paired test."""
    if row["difference"] is None or not row["ci"]:
        return "not defined"
    low, high = row["ci"]
    p = row["holm_p"]
    told = "" if p is None else f", p {p:.2f}" if p >= 0.01 else ", p < 0.01"
    return f"{row['difference']:+.3f} [{low:+.3f}, {high:+.3f}]{told}"


def published(rows: Sequence[Mapping[str, Any]]) -> str:
    """What others have reached, by which kind of split."""
    cells = [[r["what"], f"{r['value']:g}", r["split"], r["from"]] for r in rows]
    return "\n".join(lines(["published", "value", "split", "from"], cells))
