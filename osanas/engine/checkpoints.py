"""The files that trainings go on from: one a candidate, kept only for those that may be needed again."""

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

    def path(self, digest: str) -> Path:
        """The checkpoint of a candidate."""
        return self.folder / f"{self.study}-{digest.replace(':', '-')}.ckpt"

    def files(self) -> list[Path]:
        """All there are, unfinished ones too."""
        return list(self.folder.glob(f"{self.study}-*"))

    def tidy(self, files: Iterable[Path], needed: Iterable[str]) -> None:
        """Deletes the files of candidates that are not needed.

        Args:
            files: Those that were there before it was known what is needed, so that a candidate that another worker
                begins meanwhile is not taken for a forgotten one.
            needed: Digests of the candidates whose files stay.
        """
        stems = {self.path(digest).stem for digest in needed}
        for file in files:
            if file.name.partition(".")[0] not in stems:
                file.unlink(missing_ok=True)
