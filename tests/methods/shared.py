"""Run by torchrun: a student or a tri-model of the files of a test, in several processes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from vidkd.engine.logging import setup_logging


def train(method: str, root: Path, run_dir: Path, changes: dict[str, object]) -> Path:
    """Its weights; imports are here because open_clip and transformers take seconds each."""
    if method == "student":
        from tests.methods.student.taught import STUDENT, below
        from vidkd.config.student import StudentSettings

        return below(root).train(run_dir, StudentSettings.model_validate(STUDENT.model_dump() | changes))
    from tests.methods.trimodel.assisted import Assisted, changed

    return Assisted(root).train(run_dir, changed(**changes))


if __name__ == "__main__":
    setup_logging()
    train(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4]))
