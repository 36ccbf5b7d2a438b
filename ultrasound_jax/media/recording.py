"""What every recording gives, whatever file it stands in."""

import abc
from collections.abc import Iterator
from types import TracebackType
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float64

Want = Literal["stored", "grey"]


class Recording(abc.ABC):
    """An open recording; use it in a `with` statement.

    kind: `dicom`, `video` or `picture`.
    """

    kind: ClassVar[str]

    @abc.abstractmethod
    def frames(self) -> Iterator[np.ndarray]:
        """The frames one by one, uint8: `h w` grey or `h w 3` RGB.

        A picture has one; a CT slice that is stored in Hounsfield units is int16 `h w`.
        Every call starts again at the first frame.

        Raises:
            InputError: a frame is damaged, or a limit is passed.
        """

    @property
    def times(self) -> Float64[np.ndarray, " t"] | None:
        """Seconds after the first frame, of each; None where there is one, or no rate.

        A film has to be decoded once to know them.
        """
        return None

    @property
    def pixel_spacing(self) -> tuple[float, float] | None:
        """Millimetres a pixel, across and down; None where the file does not say."""
        return None

    @property
    def pixel_aspect(self) -> float:
        """Width of a pixel over its height."""
        across, down = self.pixel_spacing or (1.0, 1.0)
        return across / down

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd about the file, one line each; complete after its last frame."""
        return ()

    def close(self) -> None:  # noqa: B027 - most hold nothing open
        """Closes the file."""

    def __enter__(self) -> "Recording":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
