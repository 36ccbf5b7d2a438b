"""How regions are cut: the options of a build."""

from dataclasses import dataclass

from ultrasound_jax.datasets.options import BuildConfig, Text
from ultrasound_jax.media.regions import KINDS, LARGEST, PARTS, SHAPES, SQUARE, Cut

USE_WHOLE, SKIP = "whole", "skip"
NOTHING = (USE_WHOLE, SKIP)
NO_FOLD = -1


@dataclass(kw_only=True)
class RegionsConfig(BuildConfig):
    """How regions are cut out of pictures.

    size: side of the square that a region becomes. kind, margin, part, shape: see
    `media.regions.Cut`. nothing: what becomes of a picture on which nothing was found:
    the `whole` of it, or it is left out (`skip`). outer: the fold that is judged, where
    each has found masks of its own; -1 where all have the same. pixels: side of the
    pictures that are cut. of: the name of their dataset.
    """

    ALLOWED = {
        "size": (int, 8, 4096),
        "kind": KINDS,
        "margin": (int, 0, 400),
        "part": PARTS,
        "shape": SHAPES,
        "nothing": NOTHING,
        "outer": (int, NO_FOLD, 1000),
        "pixels": (int, 8, 4096),
        "of": Text("the name of a dataset", r"[\w.:]{0,200}"),
    }

    size: int = 224
    kind: str = "roi"
    margin: int = 0
    part: str = LARGEST
    shape: str = SQUARE
    nothing: str = USE_WHOLE
    outer: int = NO_FOLD
    pixels: int = 256
    of: str = ""

    @property
    def cut(self) -> Cut:
        """The same for one picture."""
        return Cut(self.kind, self.margin, self.part, self.shape, self.size)

    def title(self) -> str:
        """The name, which tells every option."""
        words = [f"{self.size}px", self.kind, f"margin{self.margin}", self.part]
        words += [self.shape, f"{self.nothing}_for_nothing", f"of_{self.pixels}px"]
        words += [f"outer{self.outer}"] if self.outer != NO_FOLD else []
        words += [told] if (told := self.told_apart()) else []
        return "_".join(words)
