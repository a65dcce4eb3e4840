"""torchvision is the oracle of these tests, and needs its operators declared before its first import."""

import vidkd.torchvision_ops  # noqa: F401
