"""A reader study as blocks of a document."""

from collections.abc import Mapping
from typing import Any

from ultrasound_jax.analysis.document import (
    Block,
    Heading,
    Picture,
    Table,
    Text,
    label,
    value_text,
)
from ultrasound_jax.analysis.judge.readers import (
    CONSENSUS,
    NETWORK,
    TRUTH,
)
from ultrasound_jax.analysis.report.kappa_figure import kappas
from ultrasound_jax.analysis.report.ratings_section import ratings_blocks
from ultrasound_jax.analysis.stats._parts.wording import n_text, patients_text


def sections(tree: Mapping[str, Any]) -> list[Block]:
    """All of a tree of `reader_study.study`, with what was decided before."""
    chosen = ", ".join(f"{k}: {v}" for k, v in tree["thresholds_from"].items())
    optimistic = " These are the judged rows: optimistic." * tree["optimistic"]
    left = ""
    if tree["left_out"]:
        left = f" {tree['left_out']} examples that not all have are left out."
    patterns = list(tree["pairs"][0]["patterns"]) if tree["pairs"] else []
    blocks: list[Block] = [
        Heading("Readers and networks"),
        Text(
            f"{n_text(tree)}, split {label(tree['split'])}.{left} Networks decide at "
            f"Youden's thresholds, chosen on: {chosen}.{optimistic}"
        ),
        _raters(tree, patterns),
        Picture(
            "kappa",
            kappas(_shown(tree), patterns),
            alt="Cohen's kappa of every pair, one panel a pattern",
            caption="Cohen's kappa with 95 % intervals over patients; 0 is agreement "
            "by chance. Hollow: no interval is defined. Pairs of single networks, if "
            "several vote, are in the table only.",
        ),
        _pairs(tree),
        *_fleiss(tree),
    ]
    truth = _against_truth(tree)
    if truth.rows:
        blocks.append(truth)
    return [*blocks, *ratings_blocks(tree), *_methods(tree)]


def _shown(tree: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The pairs of people, and those of the last network: the vote, if there is one."""
    networks = [r["name"] for r in tree["raters"] if r["kind"] == NETWORK]
    return [
        pair
        for pair in tree["pairs"]
        if pair["first_kind"] != NETWORK or pair["first"] == networks[-1]
    ]


def _raters(tree: Mapping[str, Any], patterns: list[str]) -> Table:
    rows = []
    for rater in tree["raters"]:
        found = [rater["patterns"][name] for name in patterns]
        cells = [
            f"{e['positives']} of {e['positives'] + e['negatives']}"
            + (f", {e['unknown']} unknown" if e["unknown"] else "")
            for e in found
        ]
        rows.append([rater["name"], rater["kind"], *cells])
    return Table(
        ["rater", "kind", *map(label, patterns)],
        rows,
        caption="Who calls how many examples positive.",
    )


def _pairs(tree: Mapping[str, Any]) -> Table:
    rows = [
        [
            pair["first"],
            pair["second"],
            label(name),
            *(
                value_text(entry, measure)
                for measure in (
                    "agreement",
                    "kappa",
                    "positive_agreement",
                    "negative_agreement",
                )
            ),
            str(entry["both"]),
            str(entry["first_only"]),
            str(entry["second_only"]),
            str(entry["neither"]),
            f"{entry['examples']} / {patients_text(entry)}",
        ]
        for pair in tree["pairs"]
        for name, entry in pair["patterns"].items()
    ]
    return Table(
        [
            "first",
            "second",
            "pattern",
            "agreement",
            "Cohen's kappa",
            "agreement on present",
            "agreement on absent",
            "both",
            "first only",
            "second only",
            "neither",
            "examples / patients",
        ],
        rows,
        caption="Agreement of every pair, with the 2 × 2 table behind it.",
    )


def _fleiss(tree: Mapping[str, Any]) -> list[Block]:
    rows = [
        [
            group,
            label(name),
            value_text(entry, "kappa"),
            value_text(entry, "agreement"),
            str(entry["unknown"]),
            f"{entry['examples']} / {patients_text(entry)}",
        ]
        for group, patterns in tree["fleiss"].items()
        for name, entry in patterns.items()
    ]
    if not rows:
        return []
    header = ["raters", "pattern", "Fleiss' kappa", "mean agreement of pairs"]
    return [
        Table(
            [*header, "left out", "examples / patients"],
            rows,
            caption="All together, over examples that everybody labelled.",
        )
    ]


def _against_truth(tree: Mapping[str, Any]) -> Table:
    rows = [
        [
            pair["first"],
            pair["second"],
            label(name),
            value_text(entry, "sensitivity"),
            value_text(entry, "specificity"),
            f"{entry['examples']} / {patients_text(entry)}",
        ]
        for pair in tree["pairs"]
        if pair["second_kind"] in (TRUTH, CONSENSUS) and pair["first_kind"] != TRUTH
        if pair["first_kind"] != CONSENSUS
        for name, entry in pair["patterns"].items()
    ]
    header = ["rater", "taken as right", "pattern", "sensitivity", "specificity"]
    return Table(
        [*header, "examples / patients"],
        rows,
        caption="Each rater, if the reference or the consensus is right.",
    )


def _methods(tree: Mapping[str, Any]) -> list[Block]:
    interval = tree["interval"]
    return [
        Heading("How readers were compared", 3),
        Text(
            "Cohen's kappa (1960) and Fleiss' kappa (1971) are agreement beyond "
            "chance, and not defined where chance explains everything. They fall with "
            "the rarity of a finding, so the agreement on present and absent examples "
            "is given beside them. A majority is more than half of those who say "
            "anything, a tie is unknown; `any` takes one reader's word, as the "
            "original's consensus is coded. A rater is not compared with a vote that "
            "it took part in. "
            f"In brackets are 95 % intervals: {interval['method']} "
            f"({interval['replicates']} replicates, seed {interval['seed']}), because "
            "examples of a patient are alike."
        ),
    ]
