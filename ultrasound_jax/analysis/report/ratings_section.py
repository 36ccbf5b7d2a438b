"""Readers' ratings without and with help, and beside models, as blocks and as csv."""

from collections.abc import Mapping
from typing import Any

from ultrasound_jax.analysis.document import (
    NOT_DEFINED,
    Block,
    Heading,
    Listing,
    Picture,
    Table,
    Text,
    label,
    value_text,
)
from ultrasound_jax.analysis.judge.multireader_study import AVERAGE
from ultrasound_jax.analysis.report.comparison_words import p_text
from ultrasound_jax.analysis.report.ratings_figure import rated_aurocs
from ultrasound_jax.analysis.stats._parts.multireader import BOTH, PATIENTS, READERS
from ultrasound_jax.analysis.stats._parts.wording import patients_words
from ultrasound_jax.runs.spreadsheet import people_csv

# What a conclusion is about, in the order of the tables.
ABOUT = {
    BOTH: "other readers and patients",
    PATIENTS: "these readers, other patients",
    READERS: "other readers, these patients",
}
SOURCES = (
    "Obuchowski NA, Rockette HE. Hypothesis testing of diagnostic accuracy for "
    "multiple readers and multiple tests: an ANOVA approach with dependent "
    "observations. Communications in Statistics: Simulation and Computation 24, 1995.",
    "Hillis SL. A comparison of denominator degrees of freedom methods for multiple "
    "observer ROC analysis. Statistics in Medicine 26, 2007.",
    "Hillis SL, Berbaum KS, Metz CE. Recent developments in the "
    "Dorfman-Berbaum-Metz procedure for multireader ROC study analysis. Academic "
    "Radiology 15, 2008.",
)


def ratings_blocks(tree: Mapping[str, Any]) -> list[Block]:
    """All of a tree of `multireader_study.rated_study`; nothing where there is none."""
    if "ratings" not in tree:
        return []
    found = tree["ratings"]
    rows = [
        [label(name), row["second"], row["first"], *_cells(row)]
        for name, entry in found["classes"].items()
        for row in entry["comparisons"]
    ]
    strong = [
        row["survives"] is True
        for entry in found["classes"].values()
        for row in entry["comparisons"]
    ]
    lacking = [
        f"{label(name)} is not compared: {entry['reason']}."
        for name, entry in found["classes"].items()
        if entry["reason"]
    ]
    return [
        Heading("Readers' ratings"),
        Text(
            f"{len(found['readers'])} readers rated how sure they are"
            + " without and with help" * found["aided"]
            + ". A difference survives if its p for other readers and other patients, "
            f"adjusted by Holm over all {found['comparisons']} comparisons of patterns "
            f"and of what is compared, is at most {found['alpha']}."
            + "".join(f" {words}" for words in lacking)
        ),
        Table(
            ["pattern", "compared", "with", "difference in AUROC", "p", "Holm p"]
            + ["survives"]
            + [f"p, {ABOUT[name]}" for name in (PATIENTS, READERS)],
            rows,
            caption="The first less the second, with the 95 % interval and p for "
            f"{ABOUT[BOTH]}. The others say less: what is found of these readers need "
            "not be so of others, and what is found of these patients not of others.",
            strong=frozenset(i for i, one in enumerate(strong) if one),
        ),
        _aurocs(found),
        Picture(
            "ratings",
            rated_aurocs(found),
            alt="AUROC of every reader, of the average reader and of the models",
            caption="AUROC with 95 % intervals over patients; the average reader's is "
            "over readers and patients.",
        ),
        Heading("How ratings were compared", 3),
        Text(
            "AUROCs of ratings, equal ones counting half, by Obuchowski and Rockette "
            "(1995) with the degrees of freedom of Hillis (2007), and of a model "
            "beside the average reader as Hillis and others (2008) test one mean; "
            "error covariances are those of clustered AUROCs over patients "
            "(Obuchowski 1997), whose few degrees of freedom are pooled with those of "
            "the readers. Examples that anybody did not rate are left out of a "
            "pattern."
        ),
        Listing(SOURCES),
    ]


def _cells(row: Mapping[str, Any]) -> list[str]:
    analyses = row["analyses"]
    ends = analyses[BOTH]["ci"]
    shown = NOT_DEFINED if ends is None else f"{ends[0]:+.3f}, {ends[1]:+.3f}"
    verdict = {None: "not tested", True: "yes", False: "no"}[row["survives"]]
    return [
        f"{row['difference']:+.3f} [{shown}]",
        p_text(analyses[BOTH]["p"]),
        p_text(row["holm_p"]),
        verdict,
        *(p_text(analyses[name]["p"]) for name in (PATIENTS, READERS)),
    ]


def _aurocs(found: Mapping[str, Any]) -> Table:
    names = list(found["classes"])
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for name, entry in found["classes"].items():
        averages = [{"rater": AVERAGE} | one for one in entry["averages"]]
        for one in [*entry["aurocs"], *averages]:
            row = cells.setdefault((one["rater"], one["how"]), {})
            row[name] = value_text(one, "auroc")
    body = [
        [rater, how, *(row.get(name, NOT_DEFINED) for name in names)]
        for (rater, how), row in cells.items()
    ]
    counts = "; ".join(
        f"{label(name)} {e['positives']} of {e['examples']}, {patients_words(e)}"
        + (f", {e['left_out']} left out" if e["left_out"] else "")
        for name, e in found["classes"].items()
    )
    return Table(
        ["rater", "", *map(label, names)],
        body,
        caption=f"AUROC [95 % interval over patients; of the {AVERAGE}, over readers "
        f"and patients]. Positive: {counts}.",
        strong=frozenset(i for i, row in enumerate(body) if row[0] == AVERAGE),
    )


def told(found: Mapping[str, Any]) -> list[str]:
    """A line a comparison, for the terminal."""
    lines = []
    for name, entry in found["classes"].items():
        if entry["reason"]:
            lines.append(f"ratings of {name}: not compared: {entry['reason']}")
        for row in entry["comparisons"]:
            lines.append(
                f"ratings of {name}: {row['second']} - {row['first']}: "
                f"{row['difference']:+.3f}, p {p_text(row['holm_p'])} (readers and "
                "patients, Holm)"
            )
    return lines


def ratings_csv(found: Mapping[str, Any]) -> str:
    """One row a pattern, comparison and kind of conclusion; empty is not defined."""
    head = ["pattern", "compared", "with", "about", "difference", "low", "high"]
    table: list[list[Any]] = [[*head, "p", "df", "holm_p", "survives"]]
    for name, entry in found["classes"].items():
        for row in entry["comparisons"]:
            for about, one in row["analyses"].items():
                decides = about == BOTH
                cells = [name, row["second"], row["first"], about, row["difference"]]
                cells += [*(one["ci"] or (None, None)), one["p"], one["df"]]
                cells += [row["holm_p"] if decides else None]
                cells += [row["survives"] if decides else None]
                table.append(["" if cell is None else cell for cell in cells])
    return people_csv(table)
