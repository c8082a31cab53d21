from __future__ import annotations

from pathlib import Path

from osanas.engine.checkpoints import Checkpoints


def test_files_of_others_and_of_other_studies_stay(tmp_path: Path) -> None:
    ours, theirs = Checkpoints(tmp_path / "c", "18a"), Checkpoints(tmp_path / "c", "18b")
    assert ours.path("a1:00").name == "18a-a1-00.ckpt"
    assert ours.files() == []  # no folder yet
    (tmp_path / "c").mkdir()
    files = [ours.path("a1:00"), ours.path("a1:01"), ours.folder / "18a-a1-01.ckpt.partial", theirs.path("a1:02")]
    files += [ours.path("a1:00", 1), ours.path("a1:00", 2)]
    for file in files:
        file.write_text("x")
    ours.tidy(ours.files(), {ours.path("a1:00"), ours.path("a1:00", 2)})
    left = {file.name for file in ours.folder.iterdir()}
    assert left == {"18a-a1-00.ckpt", "18a-a1-00-repeat-2.ckpt", "18b-a1-02.ckpt"}


def test_a_candidate_begun_meanwhile_keeps_its_file(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "18a")
    checkpoints.path("a1:old").write_text("x")
    files = checkpoints.files()
    checkpoints.path("a1:new").write_text("x")
    checkpoints.tidy(files, set())
    assert [file.name for file in tmp_path.iterdir()] == ["18a-a1-new.ckpt"]
