"""What every builder here stands on: the same build on one machine or on Apache Beam.

A dataset is a list of `items` (one video, one image: small plain values that name their
files) and a function `make` that turns one item into examples. Locally the items are
made one after the other, or a few ahead in threads. Where TFDS is given Beam options
(`tfds build --beam_pipeline_options=…`) they are spread over Beam's workers. Records,
metadata and the list of what was skipped are the same. Neither TensorFlow nor Beam is
imported without being asked for.
"""

import functools
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from ultrasound_jax.data.spec import Field, Spec
from ultrasound_jax.datasets import decoded
from ultrasound_jax.datasets.beam.records import Fact, Made, Make, Skipped
from ultrasound_jax.datasets.errors import DatasetError
from ultrasound_jax.datasets.made_from import difference, made_from, paths_in
from ultrasound_jax.datasets.options import WithOptions
from ultrasound_jax.runs.bar import Progress
from ultrasound_jax.runs.unfinished import marked

MADE_FROM = "made_from"  # the key of the metadata


class ScalableBuilder(
    WithOptions, tfds.core.GeneratorBasedBuilder, skip_registration=True
):
    """A builder that writes ArrayRecords and runs unchanged on Beam.

    `_split_generators` looks at all files, decides what concerns more than one of them
    (groups, duplicates) and returns `{split: self.examples(items, make)}`.
    """

    # Texts of a record that group examples and name no file and nobody, such as a zone;
    # class labels group as well, and need not be listed.
    GROUPS: ClassVar[tuple[str, ...]] = ()
    # Whole numbers of a record that are levels in an order, and the names of their
    # values from 0 on; another value is not annotated.
    GRADED: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    # What `patient_id` stands for, where the files name no patients.
    PATIENT: ClassVar[str] = ""
    # Options whose other values make other patients of the same ids.
    OTHER_PATIENTS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, file_format: Any = None, **kwargs: Any):
        super().__init__(file_format=file_format or "array_record", **kwargs)
        self._beam = False
        self._told: list[Skipped | Fact] = []
        self._manual = Path()
        self._used: list[Path] = []

    def spec(self) -> Spec:
        """The arrays of an example, as a batch has them, and what they mean."""
        raise DatasetError(f"{self.name}: the builder declares no spec()")

    def group_fields(self) -> dict[str, Field]:
        """The columns that subgroups are told apart by: see `GROUPS`."""
        features: Any = self.info.features
        names = [
            name
            for name, feature in features.items()
            if hasattr(feature, "int2str") or name in self.GROUPS
        ]
        return {name: Field(shape=(), dtype="str", role="group") for name in names}

    def graded_fields(self) -> dict[str, Field]:
        """The numbers that are levels in an order: see `GRADED`."""
        features: Any = self.info.features
        return {
            name: Field(
                shape=(),
                dtype=np.dtype(features[name].np_dtype).name,
                role="number",
                classes=levels,
            )
            for name, levels in self.GRADED.items()
        }

    def examples(
        self, items: Sequence[Any], make: Make, *, ahead: int = 0, unit: str = "files"
    ) -> Any:
        """What `_split_generators` returns for a split.

        Args:
            items: small values that can be pickled; one gives any number of examples.
            make: yields `(key, example)`, `Skipped` or `Fact` for one item. For Beam
                it is a function of a module beside the builder's own, or a
                `functools.partial` of one, so that Beam's workers can import it.
            ahead: threads that make items before they are asked for; then an item's
                examples are in memory together, at most `2 ahead + 1` items at once.
                Beam has its own workers and does not look at it.
            unit: what an item is, for the progress bar.

        Raises:
            DatasetError: on Beam `make` is no such function; or, once all is made,
                there is not a single example.
        """
        if self._beam:
            self._check_make(make)
        if not items:
            self._refuse_empty()
        self._used += paths_in((items, make), self._manual)
        return self._generate_examples(
            items=list(items), make=make, ahead=ahead, unit=unit
        )

    def skip(self, name: str, reason: str) -> None:
        """Tells of an input that no item is made of; for `_split_generators`."""
        self._tell(Skipped(name, reason))

    def account(
        self, facts: Sequence[Fact], skipped: Sequence[Skipped]
    ) -> dict[str, Any]:
        """What to write into the metadata once all examples are written.

        Both are in the order in which one machine would have come upon them.
        """
        del facts
        return {"skipped": [{"file": s.name, "reason": s.reason} for s in skipped]}

    def outdated(self, manual_dir: Path) -> str:
        """Why what is built is not what the folder holds now, what to do, or ""."""
        kept = (self.info.metadata or {}).get(MADE_FROM)
        if not kept or not (said := difference(kept, manual_dir)):
            return ""
        return (
            f"{said}; delete the folder {self.data_dir} to build it anew, keep both by "
            "another data_dir, or leave manual_dir out to use what is built"
        )

    def tells_files(self) -> bool:
        """Whether `outdated` can tell."""
        return bool((self.info.metadata or {}).get(MADE_FROM))

    def manual_folder(self, dl_manager: Any) -> Path:
        """The folder given as `--manual_dir`.

        Raises:
            DatasetError: there is none, or it is empty.
        """
        try:
            return Path(dl_manager.manual_dir)
        except AssertionError as error:
            raise DatasetError(
                f"{self.name}: the manual folder is missing or empty "
                f"({' '.join(str(error).split())[:200]!r}), allowed is one that holds "
                "what the set's README says"
            ) from error

    def _generate_splits(self, dl_manager: Any, download_config: Any) -> Any:
        self._beam = bool(download_config.beam_runner or download_config.beam_options)
        self._told, self._used = [], []
        needs_files = bool(self.MANUAL_DOWNLOAD_INSTRUCTIONS)
        if needs_files:
            self._manual = self.manual_folder(dl_manager).absolute()
        with marked(self.data_path):  # whose process is known if it is killed
            if self._beam:
                splits = self._splits_on_beam(dl_manager, download_config)
            else:
                with decoded.workers():
                    splits = super()._generate_splits(dl_manager, download_config)
            if self.info.metadata is not None:
                self._account_for_all(needs_files)
        return splits

    def _account_for_all(self, needs_files: bool) -> None:
        metadata: Any = self.info.metadata  # only its type says that it may be None
        facts = [one for one in self._told if isinstance(one, Fact)]
        skipped = [one for one in self._told if isinstance(one, Skipped)]
        metadata.update(self.account(facts, skipped))
        if needs_files:
            metadata[MADE_FROM] = made_from(self._manual, self._used)

    def _splits_on_beam(self, dl_manager: Any, download_config: Any) -> list[Any]:
        from ultrasound_jax.datasets.beam import workers as on_beam

        splits = [
            on_beam.Split(
                name=name,
                items=items,
                make=make,
                features=self.info.features,
                writer=self._example_writer(),
                template=self._get_filename_template(split_name=name),
                shards=download_config.get_shard_config(),
                shuffled=not self.info.disable_shuffling,
                once=download_config.ignore_duplicates,
            )
            for name, (items, make) in self._split_generators(dl_manager).items()
        ]
        on_beam.run(splits, download_config.beam_runner, download_config.beam_options)
        return [self._finish_on_beam(on_beam, split) for split in splits]

    def _finish_on_beam(self, on_beam: Any, split: Any) -> tfds.core.SplitInfo:
        outcome = on_beam.read_outcome(split)
        for one in outcome["told"]:
            kind = Skipped if one.pop("kind") == Skipped.__name__ else Fact
            self._tell(kind(**one))
        if outcome["repeated"]:
            keys = ", ".join(outcome["repeated"])
            raise DatasetError(f"{self.name}: keys of several examples: {keys}")
        if not outcome["shard_lengths"]:
            self._refuse_empty()
        return tfds.core.SplitInfo(
            name=split.name,
            shard_lengths=outcome["shard_lengths"],
            num_bytes=outcome["bytes"],
            filename_template=split.template,
        )

    def _check_make(self, make: Make) -> None:
        function: Any = make
        while isinstance(function, functools.partial):
            function = function.func
        module = getattr(function, "__module__", "")
        name = getattr(function, "__qualname__", "<")
        # TFDS imports a builder's file under a name that no other process knows.
        if module == type(self).__module__ or "<" in name or "." in name:
            raise DatasetError(
                f"{self.name}: make={name} of {module}, allowed is a function at the "
                "top of a module beside the builder's"
            )

    def _generate_examples(
        self, items: list[Any], make: Make, ahead: int, unit: str
    ) -> Any:
        if self._beam:
            return items, make
        return self._make_here(items, make, ahead, unit)

    def _make_here(
        self, items: list[Any], make: Make, ahead: int, unit: str
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        count = 0
        made = _ahead(items, make, ahead) if ahead else map(make, items)
        with Progress(len(items), unit, of=self.name) as progress:
            for of_one in made:
                for one in of_one:
                    if isinstance(one, Skipped | Fact):
                        self._tell(one)
                    else:
                        count += 1
                        yield one
                progress.advance()
        if not count:
            self._refuse_empty()

    def _tell(self, one: Skipped | Fact) -> None:
        self._told.append(one)
        if isinstance(one, Skipped):
            logging.warning("%s: skipped %s: %s", self.name, one.name, one.reason)

    def _refuse_empty(self) -> None:
        skipped = [one for one in self._told if isinstance(one, Skipped)]
        some = "; ".join(f"{one.name}: {one.reason}" for one in skipped[:20])
        rest = f"; and {len(skipped) - 20} more" if len(skipped) > 20 else ""
        raise DatasetError(
            f"{self.name}: none of {len(skipped)} files is usable ({some}{rest})"
        )


def _ahead(items: list[Any], make: Make, threads: int) -> Iterator[list[Made]]:
    """What is made of each item, in order, a few items ahead, never all of them."""

    def whole(item: Any) -> list[Made]:
        return list(make(item))

    waiting: deque[Future[list[Made]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            waiting.append(pool.submit(whole, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
