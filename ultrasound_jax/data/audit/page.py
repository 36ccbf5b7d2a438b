"""What an audit found: a page, a JSON file, a table of pairs and pictures of them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from ultrasound_jax.data.audit.contact_sheet import contact_sheet
from ultrasound_jax.data.audit.leaks import (
    Leaks,
    Pair,
    patients_to_join,
)
from ultrasound_jax.data.audit.moved import MOST_CROP
from ultrasound_jax.data.audit.thumbnails import (
    COPY,
    Samples,
    grey,
    middle,
)
from ultrasound_jax.data.source import Source
from ultrasound_jax.runs.files import write_whole
from ultrasound_jax.runs.spreadsheet import people_csv

SHOWN = 12  # pairs on the page
PICTURED = 24  # pairs on the contact sheet
NOT_LOOKED_FOR = (
    f"copies that are rotated, cropped by more than {MOST_CROP:.0%} a side or on one "
    "side only, or cut from other moments of a video"
)
WHAT = {"patient_id": "patients", "video_id": "videos", "study_id": "studies"}


@dataclass(frozen=True)
class Report:
    """An audit's result and what it was made of; ids in it are the dataset's own."""

    source: Source
    samples: Samples
    leaks: Leaks
    threshold: float
    manifest: str

    def as_text(self) -> str:
        """The page that a person reads."""
        return "\n".join([*self._head(), *self._names(), *self._pairs(), self._end()])

    def as_json(self) -> dict[str, Any]:
        """Everything but the pairs one by one."""
        leaks, table = self.leaks, self.source.table
        return {
            "dataset": self.source.name,
            "data_hash": table.data_hash,
            "manifest": self.manifest,
            "clean": leaks.clean,
            "threshold": self.threshold,
            "least_detail": leaks.least_detail,
            "examples": len(table.example_id),
            "pictures": len(self.samples.example),
            "every": self.samples.step,
            "empty_pictures": self.samples.empty,
            "pictures_for_mirrored_and_cropped": self.leaks.viewed,
            "likely_ones_not_looked_at": self.leaks.not_viewed,
            "not_looked_for": NOT_LOOKED_FOR,
            "crossing": leaks.names,
            "same_pixels": [
                [table.example_id[i] for i in places] for places in leaks.same_pixels
            ],
            "pairs": self.counts(),
            "patients_to_join": patients_to_join(table, leaks),
        }

    def counts(self) -> dict[str, int]:
        """How many pairs of videos (or images) look alike, and of what kind."""
        pairs, patient = self.leaks.pairs, self.source.table.patient_id
        return {
            "all": len(pairs),
            "across_sides": sum(p.crosses for p in pairs),
            "leaking": len(self.leaks.leaking),
            "mirrored_or_cropped": sum(bool(p.how) for p in pairs),
            "not_kept": self.leaks.dropped,
            "leaking_copies": sum(_is_copy(p) for p in self.leaks.leaking),
            "across_patients": sum(
                patient[p.first] != patient[p.second] for p in pairs
            ),
            "across_labels": sum(p.labels_differ for p in pairs),
        }

    def write(self, folder: Path) -> list[Path]:
        """Writes `audit.json`, `audit.csv` and, where there are pairs, `audit.png`.

        Raises:
            InputError: the folder cannot be written to.
        """
        files = {
            "audit.json": (json.dumps(self.as_json(), indent=1) + "\n").encode(),
            "audit.csv": self._csv().encode(),
        }
        if self.leaks.pairs:
            fine, png = cv2.imencode(".png", self._sheet())
            if fine:
                files["audit.png"] = png.tobytes()
        for name, content in files.items():
            write_whole(folder / name, content)
        if "audit.png" not in files:
            (folder / "audit.png").unlink(missing_ok=True)  # of an earlier audit
        return [folder / name for name in files]

    def _head(self) -> list[str]:
        table, samples = self.source.table, self.samples
        between = f"the parts of {self.manifest}" if self.manifest else "patients"
        every = f", every {samples.step}th example" if samples.step > 1 else ""
        return [
            f"{self.source.name}: {len(table.example_id)} examples of "
            f"{len(set(table.video_id))} videos of {len(set(table.patient_id))} "
            f"patients; looked for what is shared between {between}",
            f"pictures    {len(samples.example)} compared{every}, "
            f"{samples.empty} left out as empty",
        ]

    def _names(self) -> list[str]:
        lines = []
        for kind, names in self.leaks.names.items():
            known = kind != "study_id" or any(self.source.table.study_id)
            found = _two_sides(names) if known else "not known to this dataset"
            lines.append(f"{WHAT[kind]:<12}{found}")
        groups = [
            " = ".join(self.source.table.example_id[i] for i in places[:4])
            for places in self.leaks.same_pixels
        ]
        return [*lines, f"{'same pixels':<12}{_two_sides(groups)}"]

    def _pairs(self) -> list[str]:
        counts = self.counts()
        what = f"{self.source.spec.units[1]}s"
        lines = [
            f"alike       {counts['all']} pairs of {what} correlate above "
            f"{self.threshold:g}; {counts['across_sides']} across sides, "
            f"{counts['across_patients']} across patients, "
            f"{counts['across_labels']} across labels"
        ]
        leaking = self.leaks.leaking
        lines += [f"  {self._line(pair)}" for pair in leaking[:SHOWN]]
        if len(leaking) > SHOWN:
            lines.append(f"  and {len(leaking) - SHOWN} more")
        if self.leaks.dropped:
            lines.append(
                f"  and {self.leaks.dropped} pairs that were too many to keep: nearly "
                "everything here looks alike"
            )
        return [*lines, *self._moved()]

    def _moved(self) -> list[str]:
        left = self.leaks.not_viewed
        more = f"; {left} likely ones were too many to look at" if left else ""
        return [
            f"changed     {self.counts()['mirrored_or_cropped']} pairs across sides, "
            f"of {self.leaks.viewed} pictures, are mirrored or cropped copies{more}",
            f"not seen    {NOT_LOOKED_FOR}",
        ]

    def _line(self, pair: Pair) -> str:
        table, sides = self.source.table, self.leaks.sides
        one, other = (
            f"{table.example_id[i]} ({sides[i]})" for i in (pair.first, pair.second)
        )
        return f"{one} ~ {other}: {_figures(pair)}"

    def _end(self) -> str:
        if self.leaks.clean:
            return "clean: nothing crosses"
        table, counts = self.source.table, self.counts()
        lines = ["LEAK"]
        if counts["leaking"]:
            lines.append(
                f"{counts['leaking_copies']} of {counts['leaking']} pairs have a copy's"
                f" grain (--detail {COPY:g} counts those only)"
            )
        groups = [" ".join(group) for group in patients_to_join(table, self.leaks)]
        if groups:
            lines.append(f"one patient each may be {_listed(groups, '; ')}")
        return "; ".join(lines)

    def _csv(self) -> str:
        kinds = ("example_id", "video_id", "patient_id")
        columns = [f"{kind}_{n}" for n in (1, 2) for kind in (*kinds, "side")]
        rest = ("correlation", "detail", "times", "crosses", "labels_differ", "leak")
        rows: list[list[Any]] = [[*columns, *rest, "how"]]
        for pair in self.leaks.pairs:
            cells = [
                cell
                for i in (pair.first, pair.second)
                for cell in (
                    *(getattr(self.source.table, kind)[i] for kind in kinds),
                    self.leaks.sides[i],
                )
            ]
            grain = "" if pair.detail is None else f"{pair.detail:.3f}"
            leak = pair.crosses and self.leaks.counts(pair)
            flags = (pair.crosses, pair.labels_differ, leak)
            figures = (f"{pair.correlation:.4f}", grain, pair.times)
            rows.append([*cells, *figures, *map(int, flags), pair.how])
        return people_csv(rows)

    def _sheet(self) -> Any:
        source, sides = self.source, self.leaks.sides
        pairs = self.leaks.pairs[:PICTURED]
        pictures, captions = [], []
        for pair in pairs:
            one, other = pair.first, pair.second
            pictures.append((grey(middle(source, one)), grey(middle(source, other))))
            names = (source.table.example_id[i] for i in (one, other))
            apart = f", {sides[one]} | {sides[other]}" if pair.crosses else ""
            captions.append((*names, _figures(pair) + apart))
        return contact_sheet(pictures, captions)


def _figures(pair: Pair) -> str:
    grain = "" if pair.detail is None else f", detail {pair.detail:.2f}"
    copy = f", a copy {pair.how}".rstrip() if _is_copy(pair) else ""
    labels = ", labels differ" if pair.labels_differ else ""
    return f"{pair.correlation:.3f}{grain}{copy}{labels}"


def _is_copy(pair: Pair) -> bool:
    return pair.detail is not None and pair.detail > COPY


def _two_sides(names: list[str]) -> str:
    if not names:
        return "none on two sides"
    return f"{len(names)} on two sides: {_listed(names)}"


def _listed(names: list[str], between: str = ", ") -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return between.join(names[:SHOWN]) + more
