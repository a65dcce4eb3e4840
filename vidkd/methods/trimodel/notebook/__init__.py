"""Tri-model distillation from a notebook, by the names of seed 002; modules are called as there.

The same functions as the workflow's rules, in one process: `examples/trimodel.ipynb` shows them.
"""

from vidkd.methods.trimodel.notebook.config import TrainingArguments, TriModelConfig
from vidkd.methods.trimodel.notebook.models import TriModelDistillationFramework
from vidkd.methods.trimodel.notebook.trainer import TriModelDistillationTrainer, train_tri_model_distillation
from vidkd.methods.trimodel.notebook.utils import create_data_loaders, load_label_mappings

__all__ = [
    "TrainingArguments",
    "TriModelConfig",
    "TriModelDistillationFramework",
    "TriModelDistillationTrainer",
    "create_data_loaders",
    "load_label_mappings",
    "train_tri_model_distillation",
]
