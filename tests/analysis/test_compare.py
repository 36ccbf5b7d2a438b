"""Comparing runs: numbers, verdicts, files and refusals."""

import csv
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.analysis.simulated import CLASSES, join, simulate, without_positives
from ultrasound_jax.analysis import __main__ as command
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.judge.comparison import (
    MACRO,
    compare,
)
from ultrasound_jax.analysis.judge.pairing import pair
from ultrasound_jax.analysis.judge.run import judge_table
from ultrasound_jax.analysis.report.comparison_files import (
    compare_csv,
    write_comparison,
)
from ultrasound_jax.analysis.report.comparison_section import (
    p_text,
    page,
)
from ultrasound_jax.analysis.report.markdown import to_markdown
from ultrasound_jax.analysis.stats._parts.clustered import clustered_test
from ultrasound_jax.analysis.stats._parts.delong import delong_test
from ultrasound_jax.analysis.stats._parts.multiplicity import holm

NAMES = ("good", "alike", "bad")


def blur(table, sigma, seed):
    """The same study by a model that sees less."""
    noise = np.random.default_rng(seed).normal(size=table.scores.shape)
    logits = np.log(table.scores / (1 - table.scores)) + sigma * noise
    return replace(table, scores=1 / (1 + np.exp(-logits)))


@pytest.fixture(scope="module")
def tables():
    rng = np.random.default_rng(0)
    table = join(simulate(rng, 10, split="validation"), simulate(rng, 20))
    return dict(
        zip(NAMES, (table, blur(table, 0.1, 1), blur(table, 5, 2)), strict=True)
    )


@pytest.fixture(scope="module")
def comparison(tables):
    return compare(tables, "good", replicates=400)


def row_of(comparison, model, name):
    return next(
        row
        for row in comparison["differences"]
        if (row["model"], row["class"]) == (model, name)
    )


def test_every_model_is_compared_in_every_class_and_the_macro(comparison):
    found = [(row["model"], row["class"]) for row in comparison["differences"]]
    assert found == [(m, c) for m in NAMES[1:] for c in (*CLASSES, MACRO)]
    assert comparison["models"] == list(NAMES)
    assert comparison["split"] == "test" and comparison["n"]["patients"] == 20


def test_numbers_of_a_row_are_those_of_the_tests_alone(tables, comparison):
    rows = {name: table.of_split("test") for name, table in tables.items()}
    row = row_of(comparison, "bad", "b_line")
    known = ~np.isnan(rows["good"].labels[:, 1])
    case = [rows["good"].labels[known, 1]]
    case += [rows[name].scores[known, 1] for name in ("bad", "good")]
    plain = delong_test(*case)
    clustered = clustered_test(*case, rows["good"].patient_index()[known])
    assert row["difference"] == pytest.approx(plain.value)
    assert row["delong_p"] == pytest.approx(plain.p)
    assert row["clustered_p"] == pytest.approx(clustered.p)
    assert row["clustered_ci"] == pytest.approx([clustered.low, clustered.high])
    assert row["ci"] == row["clustered_ci"]


def test_aurocs_and_intervals_are_those_of_an_evaluation(tables, comparison):
    tree = judge_table(tables["bad"], replicates=400)["test"]["clip"]
    for name in CLASSES:
        found = comparison["aurocs"]["bad"][name]
        assert found["auroc"] == pytest.approx(tree["classes"][name]["auroc"])
        assert found["ci"] == pytest.approx(tree["classes"][name]["auroc_ci"])
    found = comparison["aurocs"]["bad"][MACRO]
    assert found["auroc"] == pytest.approx(tree["macro_auroc"])
    assert found["ci"] == pytest.approx(tree["macro_auroc_ci"])


def test_large_differences_survive_and_small_ones_do_not(comparison):
    for name in (*CLASSES, MACRO):
        bad, alike = (row_of(comparison, m, name) for m in ("bad", "alike"))
        assert bad["survives"] is True and bad["difference"] < -0.1
        assert bad["ci"][1] < 0 and bad["bootstrap_p"] < 0.05
        assert alike["survives"] is False and abs(alike["difference"]) < 0.05


def test_holm_is_over_all_classes_of_all_models_and_the_macros_apart(comparison):
    rows = comparison["differences"]
    for macro in (False, True):
        family = [row for row in rows if (row["class"] == MACRO) == macro]
        expected = holm(np.array([row["clustered_p"] for row in family]))
        assert [row["holm_p"] for row in family] == pytest.approx(expected)
    counts = {k: v["comparisons"] for k, v in comparison["families"].items()}
    assert counts == {"classes": 8, "macro": 2}


def test_decisions_at_the_operating_point_are_compared(tables, comparison):
    tree = {n: judge_table(tables[n], replicates=200)["test"]["clip"] for n in NAMES}
    found = row_of(comparison, "bad", "a_line")["mcnemar"]
    for measure in ("sensitivity", "specificity"):
        entry = found[measure]
        assert entry["share"] == pytest.approx(
            tree["bad"]["classes"]["a_line"][measure]
        )
        expected = tree["good"]["classes"]["a_line"][measure]
        assert entry["share_reference"] == pytest.approx(expected)
        assert entry["share_ci"][0] < entry["share"] < entry["share_ci"][1]
        assert 0 < entry["p_mid"] < entry["p_exact"] <= 1
    assert found["decisions"]["p_exact"] <= found["decisions"]["p_patients"]


def test_rows_in_another_order_change_nothing(tables, comparison):
    order = np.random.default_rng(5).permutation(len(tables["bad"]))
    mixed = tables | {"bad": tables["bad"].rows(order)}
    again = compare(mixed, "good", replicates=400)
    for old, new in zip(comparison["differences"], again["differences"], strict=True):
        assert new["clustered_p"] == pytest.approx(old["clustered_p"])
        assert new["ci"] == pytest.approx(old["ci"])
        assert new["mcnemar"] == old["mcnemar"]


def test_columns_in_another_order_change_nothing(tables, comparison):
    bad = tables["bad"]
    back = replace(
        bad,
        classes=bad.classes[::-1],
        labels=bad.labels[:, ::-1],
        scores=bad.scores[:, ::-1],
    )
    again = compare(tables | {"bad": back}, "good", replicates=400)
    assert again["differences"] == comparison["differences"]


def test_videos_can_be_compared(tables):
    found = compare(tables, "good", level="video_mean", replicates=200)
    assert found["n"]["examples"] == found["n"]["videos"]
    tree = judge_table(tables["bad"], replicates=200)["test"]["video_mean"]
    expected = tree["classes"]["a_line"]["auroc"]
    assert found["aurocs"]["bad"]["a_line"]["auroc"] == pytest.approx(expected)


def test_cross_validated_runs_are_compared_out_of_fold():
    rng = np.random.default_rng(3)
    table = join(
        simulate(rng, 8, split="out_of_fold", fold=0),
        simulate(rng, 8, split="out_of_fold", fold=1),
    )
    found = compare({"a": table, "b": blur(table, 3, 4)}, "a", replicates=200)
    assert found["split"] == "out_of_fold" and found["n"]["patients"] == 16
    assert found["thresholds_from"] == {"a": "other folds", "b": "other folds"}
    assert row_of(found, "b", "a_line")["mcnemar"] is not None


def test_a_model_equals_itself_with_p_1(tables):
    found = compare({"a": tables["good"], "b": tables["good"]}, "a", replicates=200)
    for row in found["differences"]:
        assert (row["difference"], row["survives"]) == (0, False)
        assert row["ci"][0] < 0 < row["ci"][1]  # what either may be, not nothing
        assert row["clustered_p"] == row["bootstrap_p"] == row["holm_p"] == 1


def test_a_class_without_positives_is_listed_with_the_reason(tables):
    lacking = {name: without_positives(table, 3) for name, table in tables.items()}
    found = compare(lacking, "good", replicates=200)
    row = row_of(found, "bad", "pleural_effusion")
    assert row["auroc"] is None and row["survives"] is None
    assert row["reason"] == "one class only: there are no positives"
    assert "macro is over 3 of 4 classes" in found["notes"]
    assert found["families"]["classes"]["comparisons"] == 6
    text = to_markdown(page(found, {}))
    assert "not tested: one class only: there are no positives" in text
    json.dumps(found, allow_nan=False)


def test_without_validation_there_is_no_operating_point(tables):
    alone = {name: table.of_split("test") for name, table in tables.items()}
    found = compare(alone, "good", replicates=200)
    assert row_of(found, "bad", "a_line")["mcnemar"] is None
    assert any("no operating point" in note for note in found["notes"])


def change(table, **columns):
    return replace(table, **columns)


def relabelled(table):
    labels = table.labels.copy()
    labels[-1, 1] = 1 - np.nan_to_num(labels[-1, 1])
    return replace(table, labels=labels)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.rows(np.arange(len(t) - 1)), "1 of .* are missing and 0 are new"),
        (
            lambda t: change(t, example_id=(*t.example_id[:-1], "new_one")),
            "1 of .* are missing and 1 are new",
        ),
        (relabelled, "differ in 1 labels, as b_line of example"),
        (
            lambda t: change(
                t,
                patient_id=tuple(
                    "other" if video == t.video_id[-1] else patient
                    for video, patient in zip(t.video_id, t.patient_id, strict=True)
                ),
            ),
            "has patient_id 'other' in run 'b' and 'test0_p19' in run 'a'",
        ),
        (
            lambda t: change(t, video_id=(*t.video_id[:-1], "other")),
            "has video_id 'other' in run 'b'",
        ),
        (
            lambda t: change(t, classes=("a_line", "b_line", "c", "d")),
            "run 'b' has classes a_line, b_line, c, d, run 'a' has a_line",
        ),
        (
            lambda t: t.of_split("validation"),
            "run 'b': no predictions of split 'test'; there are: validation",
        ),
        (
            lambda t: change(t, fold=np.arange(len(t)) % 2),
            "run 'b' has split test of folds 0, 1; allowed is one",
        ),
    ],
)
def test_tables_that_are_not_about_the_same_examples_are_refused(
    tables, spoil, message
):
    both = {"a": tables["good"], "b": spoil(tables["good"])}
    with pytest.raises(AnalysisError, match=message):
        compare(both, "a", split="test")


def test_one_patient_is_refused(tables):
    first = tables["good"].of_split("test")
    own = first.rows(np.array([p == first.patient_id[0] for p in first.patient_id]))
    with pytest.raises(AnalysisError, match="is of one patient only"):
        compare({"a": own, "b": own}, "a")


def test_one_class_in_all_patterns_is_refused(tables):
    labels = np.zeros_like(tables["good"].labels)
    none = replace(tables["good"], labels=labels)
    with pytest.raises(AnalysisError, match="no class can be compared: a_line: one cl"):
        compare({"a": none, "b": none}, "a")


def test_a_reference_that_is_not_there_and_a_run_alone_are_refused(tables):
    with pytest.raises(AnalysisError, match="'x' is none of the runs: good, alike"):
        compare(tables, "x")
    with pytest.raises(AnalysisError, match="run 'good' is alone"):
        compare({"good": tables["good"]}, "good")


def test_files_tell_the_same_numbers(tmp_path, comparison):
    paths = write_comparison(tmp_path, comparison, facts={"data": "simulated"})
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == sorted([*(path.name for path in paths), "figures"])
    assert json.loads(paths[0].read_text()) == comparison
    rows = list(csv.DictReader(compare_csv(comparison).splitlines()))
    assert len(rows) == len(comparison["differences"])
    row = row_of(comparison, "bad", "b_line")
    found = next(r for r in rows if (r["model"], r["class"]) == ("bad", "b_line"))
    assert float(found["holm_p"]) == row["holm_p"]
    assert float(found["ci_low"]) == row["ci"][0]
    share = row["mcnemar"]["decisions"]["share_ci"]
    assert float(found["mcnemar_decisions_share_ci_high"]) == share[1]
    text = paths[2].read_text()
    expected = f"{row['difference']:+.3f} [{row['ci'][0]:+.3f}, {row['ci'][1]:+.3f}]"
    assert expected in text and "(figures/differences.png)" in text
    assert "* data: simulated" in text
    assert "8 comparisons of patterns and models" in text


def test_rows_of_the_tables_have_as_many_cells_as_their_heads(tmp_path, comparison):
    text = write_comparison(tmp_path, comparison, facts={})[2].read_text()
    tables = [b.splitlines() for b in text.split("\n\n") if b.startswith("|")]
    assert len(tables) == 3
    for lines in tables:
        assert len({line.count("|") for line in lines}) == 1


def test_the_figure_is_wide_enough_and_shows_both_verdicts(tmp_path, comparison):
    write_comparison(tmp_path, comparison, facts={})
    image = cv2.imread(str(tmp_path / "figures/differences.png"))
    assert image is not None and image.shape[1] > 1200
    for colour in ("#D55E00", "#0072B2"):
        wanted = [int(colour[i : i + 2], 16) for i in (5, 3, 1)]
        assert (np.abs(image.astype(int) - wanted).max(axis=2) < 8).sum() > 300


def test_a_difference_that_rounds_to_zero_has_no_minus(comparison):
    near = [row | {"difference": -1e-9} for row in comparison["differences"]]
    text = to_markdown(page(comparison | {"differences": near}, {}))
    assert "+0.000 [" in text and "-0.000 [" not in text


def test_p_values_are_written_as_tables_do():
    written = [p_text(p) for p in (None, 0.0004, 0.0314, 0.314, 1.0)]
    assert written == ["not defined", "< 0.001", "0.031", "0.314", "1.000"]


def test_the_command_writes_all_and_says_what_survives(tmp_path, tables, capsys):
    for name in ("good", "bad"):
        (tmp_path / name).mkdir()
        tables[name].write(tmp_path / name / "predictions.csv")
    runs = [str(tmp_path / name) for name in ("good", "bad")]
    out = tmp_path / "out"
    code = command.main(["compare", *runs, "--out", str(out), "--replicates", "200"])
    assert code == 0 and len(list(out.iterdir())) == 4
    assert "bad - good, macro: -0." in capsys.readouterr().out


def test_the_reference_can_be_named_as_it_was_typed(tmp_path, tables):
    for name in ("good", "bad"):
        tables[name].write(tmp_path / f"{name}.csv")
    runs = [str(tmp_path / f"{name}.csv") for name in ("good", "bad")]
    words = ["compare", *runs, "--out", str(tmp_path / "out"), "--replicates", "200"]
    for reference in ("bad", runs[1]):
        assert command.main([*words, "--reference", reference]) == 0
        found = json.loads((tmp_path / "out/compare.json").read_text())
        assert found["models"] == ["bad", "good"]
    assert command.main([*words, "--reference", "ugly"]) == 2
    assert command.main([*words, "--seed", "-1"]) == 2


def test_runs_are_compared_on_what_metrics_reports(tables):
    rng = np.random.default_rng(5)
    folds = [simulate(rng, 6, split="out_of_fold", fold=fold) for fold in range(3)]
    both = {name: join(table, *folds) for name, table in tables.items()}
    assert compare(both, "good", replicates=200)["split"] == "out_of_fold"
    some = {"good": both["good"], "bad": tables["bad"]}
    assert compare(some, "good", replicates=200)["split"] == "test"
    pooled = {"good": join(*folds), "bad": tables["bad"]}
    with pytest.raises(AnalysisError, match="'good' on out_of_fold, 'bad' on test"):
        compare(pooled, "good", replicates=200)


def test_the_run_that_lacks_a_split_is_named(tables):
    lacking = tables | {"bad": tables["bad"].of_split("validation")}
    with pytest.raises(AnalysisError, match="run 'bad': no predictions of split 'test"):
        compare(lacking, "good", replicates=200)


def test_a_refusal_is_one_line_and_exit_code_2(tmp_path, tables, capsys):
    tables["good"].write(tmp_path / "a.csv")
    tables["good"].of_split("test").write(tmp_path / "b.csv")
    runs = [str(tmp_path / f"{name}.csv") for name in "ab"]
    words = ["compare", *runs, "--out", str(tmp_path / "out")]
    assert command.main([*words, "--split", "validation"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "run 'b': no predictions of split" in error
    assert not (tmp_path / "out").exists()


def test_models_are_compared_by_the_same_frames_of_each_clip():
    """A table that does not say how long its clips are takes another one's word."""
    one = simulate(np.random.default_rng(0), 8)
    frames = np.arange(1, len(one) + 1)
    told, silent = replace(one, frames=frames), one
    found = pair({"a": told, "b": silent}, "b", split="test", level="video_mean")
    np.testing.assert_array_equal(found.scores[0], found.scores[1])
    with pytest.raises(AnalysisError, match="has 2 frames in run 'b' and 1 in another"):
        other = replace(one, frames=frames + 1)
        pair({"a": told, "b": other}, "a", split="test", level="video_mean")
