"""Export a student as transformers saves it."""

from __future__ import annotations

from pathlib import Path

from vidkd.config.data import FrameSettings
from vidkd.methods.inputs import Inputs
from vidkd.methods.trimodel.model import save
from vidkd.methods.trimodel.predict import load_student


def export(inputs: Inputs, frames: FrameSettings, folder: Path) -> None:
    """Write the student into a folder whose `from_pretrained` gives the same logits; see `save`.

    Raises:
        UserError: the student cannot be loaded.
    """
    ((weights,),) = inputs.runs.values()
    model, settings, config = load_student(weights)
    save(model, config["classes"], settings.eval_crop, folder)
