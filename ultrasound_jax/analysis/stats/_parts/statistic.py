"""What a statistic is: one file in `analysis/stats/`, found because it is there.

A file says

* `NAME`, its key in `metrics.json`, and `KINDS`, the kinds of tables that it judges;
* `OPTIONS`: what a user can choose, which become flags of the verb `metrics`;
* `compute(judged, options, drawing)`: its numbers, as a tree that JSON can hold, of the
  rows that are judged; `drawing` is `{"replicates", "seed"}` of the bootstrap;
* `blocks(tree)`: its part of a report, from what it computed, to which the rest of the
  tree of `judge.assess` is added (`split`, `units`, `levels`, …, and its own once more
  as `tree[NAME]`);
* `rows(tree)`: its part of `metrics.csv`, from the same, as `{"metric", "value"}` and
  what else it has of `part`, `group`, `pattern`, `low` and `high`;
* `SOURCES`: what the references of a report must cite;

and, if it likes,

* `ORDER`: its place among the others, which is otherwise behind them;
* `applies(classes)`: whether it is for a table of classes of these names; else for all;
* `METHODS`: how the numbers are made, a paragraph of a report;
* `EVERY_LEVEL = True`: it is computed at every level, and what it computes becomes part
  of `tree["levels"][level]`, its `classes` of those there; such numbers need no `rows`;
* `HEADLINE`: `(key, key in a class or "", words)` of numbers of a level that are told
  when a run ends, and of subgroups;
* `pictures(tree, tables)`: figures that need the judged rows, `{level: table}`;
* `overview(trees, tables)`: what is said of several models together, from `{model:
  tree}` and the rows judged of each.

Nothing else has to be told about it.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ultrasound_jax.analysis.document import Block, Picture
from ultrasound_jax.analysis.errors import AnalysisError
from ultrasound_jax.analysis.table.judged import Judged

PACKAGE = "ultrasound_jax.analysis.stats"
LAST = 1000
# Keys of a judged tree that no statistic can be called.
TAKEN = ("split", "level", "levels", "units", "kind", "decision", "thresholds_from") + (
    "optimistic",
    "interval",
    "n",
    "classes",
    "run",
    "folds",
    "further",
)
Tree = Mapping[str, Any]
CsvRow = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Option:
    """Something that a user may choose, as a flag `--<name>`.

    type: of the value, or of each where there are many.
    many: the value is a tuple.
    """

    name: str
    type: type
    default: Any
    help: str
    many: bool = False
    metavar: str | None = None


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """A file of statistics, as the top of this file describes it."""

    name: str
    kinds: tuple[str, ...]
    options: tuple[Option, ...]
    compute: Callable[[Judged, Mapping[str, Any], Mapping[str, int]], dict[str, Any]]
    blocks: Callable[[Tree], Sequence[Block]]
    rows: Callable[[Tree], Sequence[CsvRow]]
    sources: tuple[str, ...]
    order: int
    applies: Callable[[Sequence[str]], bool]
    methods: str
    every_level: bool
    headline: tuple[tuple[str, str, str], ...]
    pictures: Callable[[Tree, Mapping[str, Any]], Sequence[Picture]]
    overview: Callable[[Mapping[str, Tree], Mapping[str, Any]], Sequence[Block]]

    def view(self, tree: Tree) -> dict[str, Any]:
        """What this one computed with the rest of a judged tree added."""
        return dict(tree.get(self.name, {})) | dict(tree)

    def own_options(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What is asked of this one, and the defaults of the rest."""
        return {o.name: asked.get(o.name, o.default) for o in self.options}


def _of_module(module: ModuleType) -> Statistic:
    needed = ("NAME", "KINDS", "OPTIONS", "compute", "blocks", "rows", "SOURCES")
    lacking = [name for name in needed if not hasattr(module, name)]
    if lacking:
        raise AnalysisError(
            f"{module.__name__}: no statistic: it lacks {', '.join(lacking)}"
        )
    return Statistic(
        name=module.NAME,
        kinds=tuple(module.KINDS),
        options=tuple(module.OPTIONS),
        compute=module.compute,
        blocks=module.blocks,
        rows=module.rows,
        sources=tuple(module.SOURCES),
        order=getattr(module, "ORDER", LAST),
        applies=getattr(module, "applies", lambda classes: True),
        methods=getattr(module, "METHODS", ""),
        every_level=getattr(module, "EVERY_LEVEL", False),
        headline=tuple(getattr(module, "HEADLINE", ())),
        pictures=getattr(module, "pictures", lambda tree, tables: ()),
        overview=getattr(module, "overview", lambda trees, tables: ()),
    )


def statistics(
    kind: str = "",
    further: Sequence[str] = (),
    *,
    classes: Iterable[str] | None = None,
) -> list[Statistic]:
    """All statistics for a kind of table, in their order.

    Args:
        kind: of a table; empty for all.
        further: importable names of modules that are statistics, too.
        classes: of a table; None for whatever they are.

    Raises:
        AnalysisError: a module that cannot be imported or is no statistic, or a name
            that is taken.
    """
    folder = importlib.import_module(PACKAGE).__path__
    names = [
        f"{PACKAGE}.{found.name}"
        for found in pkgutil.iter_modules(folder)
        if not found.name.startswith("_")
    ]
    known = []
    for name in dict.fromkeys([*names, *further]):
        try:
            known.append(_of_module(importlib.import_module(name)))
        except ImportError as error:
            raise AnalysisError(f"statistic '{name}': {error}") from error
    called = [one.name for one in known]
    for name in called:
        if called.count(name) > 1 or name in TAKEN:
            raise AnalysisError(f"a statistic cannot be called '{name}': it is taken")
    known.sort(key=lambda one: (one.order, one.name))
    fitting = [one for one in known if not kind or kind in one.kinds]
    if classes is None:
        return fitting
    names = tuple(classes)
    return [one for one in fitting if one.applies(names)]


def check_options(known: Sequence[Statistic], asked: Mapping[str, Any]) -> None:
    """Refuses an option that no statistic has, and lists those that there are.

    Raises:
        AnalysisError: see above.
    """
    names = [option.name for one in known for option in one.options]
    for name in asked:
        if name not in names:
            raise AnalysisError(
                f"no statistic has an option '{name}'; there are: {', '.join(names)}"
            )


def of_tree(tree: Tree, further: Sequence[str] = ()) -> list[Statistic]:
    """The statistics whose numbers a judged tree has, in their order."""
    every = [*further, *tree.get("further", ())]
    classes = next(iter(tree["levels"].values()))["classes"]
    return [
        one
        for one in statistics(tree["kind"], every, classes=classes)
        if one.every_level or one.name in tree
    ]
