"""The files that trainings go on from, kept only for those that may be needed again.

There is one a candidate, and one for each repeat of its training.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of a study on this machine.

    Attributes:
        folder: Where they lie.
        study: Begins their names; it keeps apart studies of one name in several databases.
    """

    folder: Path
    study: str

    def path(self, digest: str, repeat: int = 0) -> Path:
        """The checkpoint of a candidate, or of a repeat of its training."""
        repeated = f"-repeat-{repeat}" if repeat else ""
        return self.folder / f"{self.study}-{digest.replace(':', '-')}{repeated}.ckpt"

    def files(self) -> list[Path]:
        """All there are, unfinished ones too."""
        return list(self.folder.glob(f"{self.study}-*"))

    def tidy(self, files: Iterable[Path], needed: Iterable[Path]) -> None:
        """Deletes files that are not needed.

        Args:
            files: Those that were there before it was known what is needed, so that a candidate that another worker
                begins meanwhile is not taken for a forgotten one.
            needed: Those that stay.
        """
        stems = {file.stem for file in needed}
        for file in files:
            if file.name.partition(".")[0] not in stems:
                file.unlink(missing_ok=True)
