"""A configuration of every method, on networks of random weights."""

from __future__ import annotations

from tests.backbones.checkpoints import MAKERS, make_timm
from tests.methods.student.taught import make_clip
from tests.methods.trimodel.assisted import make_assistant, make_teacher
from tests.workflow.conftest import TINY, Project

CONFIG = """
results_dir: results/tiny
data: {adapter: demo, n_shards: 1}
demo: {train: 120, val: 48, test: 24, frames: 8, low_label: 0.5}
frames: {per_video: 8, short_side: 56, encoding: raw}
backbones:
  inside: {kind: vjepa2, folder: weights/vjepa2}
  video: {kind: videomae, folder: weights/videomae}
  image: {kind: timm, folder: weights/timm, frames: 4}
  clip: {kind: clip, folder: weights/clip, frames: 4}
  vmae: {kind: videomae, folder: weights/teacher, frames: 4}
  amd: {kind: videomae, folder: weights/assistant, frames: 4}
probes: {heads: []}
converters:
  student: inside
  teachers: [video, image]
  base: {epochs: 60, width: 32, batch_size: 16}
  variants: {resampler: {}, linear: {kind: linear}, random: {epochs: 0}}
fusion:
  base: {epochs: 2, width: 16, sweep: {lr: [1e-3, 1e-2]}}
  variants:
    student: {teachers: []}
    teacher: {student: false, teachers: [video], features: real}
    converted: {}
    real: {features: real}
    random: {converter: random}
    finetuned: {finetune_converters: true, teachers: [image]}
student:
  teacher: {backbone: clip, margin: 3}
  label: colour
  labels: marked
  also_judged: [motion]
  base: {backbone: image, epochs: 3, batch_size: 12, frames: 2, size: 32, width: 24, lr: 1e-3}
  variants:
    ce: {alpha: 0, beta: 0, gamma: 1}
    distilled: {}
    cached: {teacher_view: cached, epochs: 1}
trimodel:
  teacher: vmae
  assistant: amd
  gate: {margin: 3}
  label: colour
  labels: marked
  base: {backbone: vmae, epochs: 2, batch_size: 12, frames: 4, hidden_layers_to_align: [-1], lr: 1e-3}
  variants:
    ce: {teacher_feature_weight: 0, assistant_feature_weight: 0}
    both: {}
    random_assistant: {random_assistant: true, epochs: 1}
ffn:
  base: {arch: resnet_tiny, size: 48, frame_counts: [8], epochs: 1}
  variants: {tsm: {weight_alteration: false}}
  predict: {max_count: 8, score_counts: [8]}
  tfd: {report_counts: [8], separate: {}}
latency: {rounds: 3}
compute: {gpus: 0, mem_mb: 2000, runtime: 10}
"""


def configure(project: Project) -> None:
    """Write the configuration, and the networks' files that it names."""
    for kind in ("vjepa2", "videomae"):
        MAKERS[kind](project.root / "weights" / kind)
    make_timm(project.root / "weights/timm", "test_resnet")
    make_clip(project.root / "weights/clip")
    make_teacher(project.root / "weights/teacher")
    make_assistant(project.root / "weights/assistant")
    (project.root / TINY).write_text(CONFIG)
