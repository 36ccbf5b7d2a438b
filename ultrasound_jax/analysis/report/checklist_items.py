"""The items of CLAIM 2024, TRIPOD+AI 2024 and STARD 2015, in our own short words.

Each is `(number, what is asked, keys of what answers it here, what authors add)`. A key
is a part of a report (see `checklist.PARTS`) or the beginning of a statistic's name; of
several, each that a report has is named. What authors add is empty where nothing is
left to them but to read it.
"""

Item = tuple[str, str, tuple[str, ...], str]

_STUDY = "to be written"
_NETWORK = ("facts", "model file", "cost")
_NUMBERS = ("discrimination", "confusion", "overlap", "lesions", "absent") + (
    "operating",
    "predictive",
)
_VARIED = ("subgroup", "missing", "seed", "by_fold", "mask_folds")
_RECRUITED = "where, when, how and by whom patients were recruited"
_LABELS = "who annotated, with which training and rules, and blinded to what"

CLAIM: tuple[Item, ...] = (
    ("1", "title or abstract names AI and its kind", ("facts",), _STUDY),
    ("2", "abstract: design, methods, results, conclusions", (), "the abstract"),
    ("3", "background and intended use", (), _STUDY),
    ("4", "aims and hypotheses", (), _STUDY),
    ("5", "prospective or retrospective", (), _STUDY),
    ("6", "goal of the study", (), _STUDY),
    ("7", "sources of the data", ("facts", "flow"), _RECRUITED),
    ("8", "inclusion and exclusion criteria", ("flow",), "the criteria, beforehand"),
    ("9", "preprocessing of the data", ("model file",), ""),
    ("10", "selection of subsets of the data", ("flow",), "why these were selected"),
    ("11", "de-identification", (), "how `dicom index` and `convert` were used"),
    ("12", "missing data", ("flow", "table one", "missing"), "why they are missing"),
    ("13", "acquisition of images", ("table one",), "devices, settings, operators"),
    ("14", "how the reference standard was obtained", (), _LABELS),
    ("15", "why this reference standard", (), _STUDY),
    ("16", "who annotated the reference standard", (), _LABELS),
    ("17", "annotation of the test set", (), _LABELS),
    ("18", "variability between and within raters", ("readers",), "a second reading"),
    ("19", "how data were assigned to partitions", ("splits", "flow"), ""),
    ("20", "level at which partitions are disjoint", ("splits", "table one"), ""),
    ("21", "intended sample size", (), "how it was reckoned, before the study"),
    ("22", "the model in detail", _NETWORK, "a figure of the network"),
    ("23", "software and versions", ("facts", "model file"), ""),
    ("24", "initial weights", ("settings",), "where given weights are from"),
    ("25", "training: data, hyper-parameters, augmentation", ("settings",), ""),
    ("26", "how the final model was selected", ("settings", "splits"), ""),
    ("27", "ensembles", ("facts",), "which models were joined, if any were"),
    ("28", "metrics of performance", (*_NUMBERS, "calibration"), "why these"),
    ("29", "uncertainty and significance", ("methods", "comparison"), ""),
    ("30", "robustness and sensitivity", _VARIED, ""),
    ("31", "explanation or interpretation", ("attention",), "what the pictures show"),
    ("32", "evaluation on internal data", (*_NUMBERS, "by_fold"), ""),
    ("33", "testing on external data", ("external",), "another hospital's patients"),
    ("34", "registration of a trial", (), "the number, or that there is none"),
    ("35", "numbers included and excluded", ("flow",), ""),
    ("36", "characteristics of each partition", ("table one",), "what is not known"),
    ("37", "performance on each partition, with uncertainty", _NUMBERS, ""),
    ("38", "diagnostic performance and its precision", _NUMBERS, ""),
    ("39", "analysis of failures", ("confusion", "operating"), "cases, with pictures"),
    ("40", "limitations", (), _STUDY),
    ("41", "implications for practice", ("decision", "predictive"), _STUDY),
    ("42", "full protocol or technical details", ("settings", "model file"), "a link"),
    ("43", "availability of software, model and data", ("facts",), "links, licences"),
    ("44", "funding and the role of funders", (), _STUDY),
)

TRIPOD_AI: tuple[Item, ...] = (
    ("1", "title: development or evaluation, population, outcome", (), _STUDY),
    ("2", "abstract by TRIPOD+AI for abstracts", (), "the abstract"),
    ("3a", "health context and existing models", (), _STUDY),
    ("3b", "target population, purpose, users", (), _STUDY),
    ("3c", "known health inequalities", (), _STUDY),
    ("4", "objectives", (), _STUDY),
    ("5a", "sources of the data, and how well they represent", ("facts",), _RECRUITED),
    ("5b", "dates of the data", (), _RECRUITED),
    ("6a", "setting and centres", ("table one",), _RECRUITED),
    ("6b", "eligibility", ("flow",), "the criteria, beforehand"),
    ("6c", "treatments received", (), _STUDY),
    ("7", "preparation and quality of the data", ("model file", "flow"), ""),
    ("8a", "the outcome and how it is assessed", (), _LABELS),
    ("8b", "who assessed it", (), _LABELS),
    ("8c", "blinding of its assessment", (), _LABELS),
    ("9a", "choice of predictors", (), "why pixels alone, or what else was given"),
    ("9b", "definition of predictors", ("model file",), ""),
    ("9c", "who assessed predictors", (), "who scanned, with which training"),
    ("10", "sample size", ("table one",), "how it was reckoned, before the study"),
    ("11", "missing data", ("flow", "table one", "missing"), "why they are missing"),
    ("12a", "how data were used, and partitions", ("splits", "flow"), ""),
    ("12b", "handling of predictors", ("model file",), ""),
    ("12c", "model, building, tuning, validation", ("settings", "by_fold"), ""),
    ("12d", "heterogeneity between clusters", ("methods", "subgroup"), ""),
    ("12e", "measures and plots of performance", (*_NUMBERS, "calibration"), "why"),
    ("12f", "updating of the model", (), "that there was none, or how"),
    ("12g", "how predictions were calculated", ("model file",), ""),
    ("13", "class imbalance", ("settings", "table one"), "why, and the calibration"),
    ("14", "fairness", ("subgroup",), "which groups, and why these"),
    ("15", "output of the model, thresholds", ("methods", "operating"), "why these"),
    ("16", "differences between training and evaluation", ("table one",), ""),
    ("17", "ethical approval and consent", (), _STUDY),
    ("18a", "funding", (), _STUDY),
    ("18b", "conflicts of interest", (), _STUDY),
    ("18c", "protocol", (), "a link, or that there is none"),
    ("18d", "registration", (), "the number, or that there is none"),
    ("18e", "sharing of data", (), "where, or why not"),
    ("18f", "sharing of code", ("facts",), "a link to the commit named here"),
    ("19", "involvement of patients and the public", (), _STUDY),
    ("20a", "flow of participants", ("flow",), ""),
    ("20b", "characteristics of participants", ("table one",), "what is not known"),
    ("20c", "development and evaluation data compared", ("table one",), ""),
    ("21", "participants and outcomes in each analysis", ("table one",), ""),
    ("22", "the full model, for use by others", ("model file",), "where it is given"),
    ("23a", "performance with intervals, in key subgroups too", _NUMBERS, ""),
    ("23b", "heterogeneity of performance", ("subgroup", "by_fold", "seed"), ""),
    ("24", "results of updating", (), "that there was none, or what it gave"),
    ("25", "interpretation", (), _STUDY),
    ("26", "limitations", (), _STUDY),
    ("27a", "poor or unavailable input", ("flow",), "what a user sees then"),
    ("27b", "what users must do and know", (), _STUDY),
    ("27c", "next steps", (), _STUDY),
)

STARD: tuple[Item, ...] = (
    ("1", "title or abstract: a study of accuracy, with a measure", (), _STUDY),
    ("2", "abstract by STARD for abstracts", (), "the abstract"),
    ("3", "background, intended use and role of the test", (), _STUDY),
    ("4", "objectives and hypotheses", (), _STUDY),
    ("5", "prospective or retrospective", (), _STUDY),
    ("6", "eligibility", ("flow",), "the criteria, beforehand"),
    ("7", "how eligible patients were identified", (), _RECRUITED),
    ("8", "where and when", (), _RECRUITED),
    ("9", "consecutive, random or convenience series", (), _RECRUITED),
    ("10a", "the index test, to be repeated", _NETWORK, ""),
    ("10b", "the reference standard, to be repeated", (), _LABELS),
    ("11", "why this reference standard", (), _STUDY),
    ("12a", "cut-offs of the index test, prespecified or not", ("methods",), "why"),
    ("12b", "cut-offs of the reference standard", (), _LABELS),
    ("13a", "what was known when the index test was read", (), "the network: pixels"),
    ("13b", "what was known to assessors of the reference", (), _LABELS),
    ("14", "methods of estimating and comparing", ("methods", "comparison"), ""),
    ("15", "indeterminate results", ("conformal", "missing"), "how they are treated"),
    ("16", "missing data", ("flow", "missing"), "why they are missing"),
    ("17", "analyses of variability", ("subgroup", "seed"), "which were prespecified"),
    ("18", "intended sample size", (), "how it was reckoned, before the study"),
    ("19", "flow of participants, a diagram", ("flow",), ""),
    ("20", "characteristics at baseline", ("table one",), "what is not known"),
    ("21a", "severity in those with the condition", (), _STUDY),
    ("21b", "other diagnoses in those without", (), _STUDY),
    ("22", "time and treatment between test and reference", (), _STUDY),
    ("23", "results of the test against the reference", _NUMBERS, ""),
    ("24", "accuracy and its precision", _NUMBERS, ""),
    ("25", "adverse events", (), "that there were none, or which"),
    ("26", "limitations, uncertainty, generalisability", (), _STUDY),
    ("27", "implications for practice", ("decision", "predictive"), _STUDY),
    ("28", "registration", (), "the number, or that there is none"),
    ("29", "where the protocol is", (), "a link, or that there is none"),
    ("30", "funding", (), _STUDY),
)

GUIDELINES: dict[str, tuple[Item, ...]] = {
    "CLAIM 2024": CLAIM,
    "TRIPOD+AI 2024": TRIPOD_AI,
    "STARD 2015": STARD,
}
SOURCES = (
    "Bossuyt PM, Reitsma JB, Bruns DE, et al. STARD 2015: an updated list of essential "
    "items for reporting diagnostic accuracy studies. BMJ 351, 2015.",
    "Collins GS, Moons KGM, Dhiman P, et al. TRIPOD+AI statement: updated guidance for "
    "reporting clinical prediction models that use regression or machine learning "
    "methods. BMJ 385, 2024.",
    "Tejani AS, Klontzas ME, Gatti AA, et al. Checklist for Artificial Intelligence in "
    "Medical Imaging (CLAIM): 2024 update. Radiology: Artificial Intelligence 6, 2024.",
)
