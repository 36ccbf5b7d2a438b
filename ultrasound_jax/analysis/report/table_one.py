"""Table 1: who is in each part of the data, from a run's `population.json`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ultrasound_jax.analysis.document import Block, Heading, Table, Text, label
from ultrasound_jax.analysis.table.units import plural

Tree = Mapping[str, Any]
TITLE = "Who is in each part"
NOT_KNOWN = "not known"
SMALL = 5  # patients; many journals and boards ask to merge smaller cells
_FIVE = ("least", "lower", "median", "upper", "most")
EXPECTED = ("age", "sex", "transducer", "manufacturer", "site")


def sections(people: Tree) -> list[Block]:
    """The heading, the table, and what the data do not tell."""
    parts = list(people["parts"])
    rows = [*_sizes(people), *_findings(people)]
    for row in people["characteristics"]:
        rows += _characteristic(people, row)
    known = {row["name"] for row in people["characteristics"]}
    lacking = [name for name in EXPECTED if name not in known]
    found: list[Block] = [
        Heading(TITLE),
        Table(
            ["", *(label(part) for part in parts)],
            rows,
            caption=_caption(people, rows),
        ),
    ]
    if lacking:
        found.append(
            Text(
                f"The records do not tell: {', '.join(lacking)}. What the hospital "
                "knows of these has to be added by the authors."
            )
        )
    return found


def _caption(people: Tree, rows: Sequence[Sequence[str]]) -> str:
    group = plural(people["units"][1])
    text = (
        "Counts with their share of those in which it is known. Characteristics are "
        f"of patients where each has one value, otherwise of {group}, as the row says. "
        "Ages are the lowest of a patient, 90 and above are one group."
    )
    small = sum(
        cell.partition(" ")[0].isdigit() and 0 < int(cell.partition(" ")[0]) < SMALL
        for name, *cells in rows
        if name.endswith(", patients")
        for cell in cells
    )
    if small:
        text += (
            f" {small} cells are of fewer than {SMALL} patients: they are shown as "
            "they are; whoever publishes the table decides whether to merge them."
        )
    return text


def _row(people: Tree, name: str, cell: Callable[[str, Tree], str]) -> list[str]:
    return [name, *(cell(part, counts) for part, counts in people["parts"].items())]


def _sizes(people: Tree) -> list[list[str]]:
    unit, group = people["units"]
    rows = [_row(people, "patients", lambda _, n: str(n["patients"]))]
    if unit != group:
        rows.append(_row(people, plural(group), lambda _, n: str(n["groups"])))
    rows.append(_row(people, plural(unit), lambda _, n: str(n["examples"])))
    rows.append(
        _row(
            people,
            f"most {plural(unit)} of one patient",
            lambda _, n: _share(n["most_of_one"], n["examples"]),
        )
    )
    return rows


def _findings(people: Tree) -> list[list[str]]:
    several = plural(people["units"][0])
    rows = []
    for name, by_part in people["classes"].items():
        counts = [by_part[part] for part in people["parts"]]
        cells = [_share(n["positive"], n["known"]) for n in counts]
        rows.append([f"{label(name)}, {several}", *cells])
        cells = [
            _share(n["positive_patients"], people["parts"][part]["patients"])
            for part, n in zip(people["parts"], counts, strict=True)
        ]
        rows.append([f"{label(name)}, patients", *cells])
        left = [people["parts"][p]["examples"] - by_part[p]["known"] for p in by_part]
        if any(left):
            rows.append(
                [f"{label(name)}, {several} not annotated", *map(str, left)],
            )
    return rows


def _characteristic(people: Tree, row: Tree) -> list[list[str]]:
    name, parts = label(row["name"]), row["parts"]
    of = "patients" if row["of"] == "patients" else plural(people["units"][1])
    rows = []
    if all("values" in entry for entry in parts.values()):
        values = dict.fromkeys(v for entry in parts.values() for v in entry["values"])
        for value in values:
            cells = [
                _share(n["values"].get(value, 0), sum(n["values"].values()))
                for n in parts.values()
            ]
            rows.append([f"{name}: {value}, {of}", *cells])
    else:
        cells = [_numbers(entry) for entry in parts.values()]
        rows.append([f"{name}: median [quartiles] (range)", *cells])
        oldest = [entry.get("oldest", 0) for entry in parts.values()]
        if any(oldest):
            rows.append([f"{name}: 90 and above, {of}", *map(str, oldest)])
    unknown = [entry["unknown"] for entry in parts.values()]
    if any(unknown):
        rows.append([f"{name}: {NOT_KNOWN}, {of}", *map(str, unknown)])
    return rows


def _share(count: int, total: int) -> str:
    return f"{count} of {total} ({100 * count / total:.0f} %)" if total else NOT_KNOWN


def _numbers(entry: Tree) -> str:
    if entry["median"] is None:
        return NOT_KNOWN

    def text(name: str) -> str:
        if entry["oldest"] and entry[name] >= 90:
            return "90+"
        return f"{entry[name]:.3g}"

    least, lower, median, upper, most = map(text, _FIVE)
    return f"{median} [{lower}, {upper}] ({least}–{most})"
