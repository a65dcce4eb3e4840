from __future__ import annotations

import json
import subprocess
import sys

from vidkd.lazy import load, module_of


def test_an_entry_is_what_it_names():
    assert module_of("json.decoder:JSONDecoder") == "json.decoder"
    assert load("json.decoder:JSONDecoder") is json.decoder.JSONDecoder


def test_registries_are_read_without_what_they_list():
    """Snakemake reads them at every start; torch and scikit-learn alone take seconds."""
    code = """
import sys
from vidkd.backbones import registry as backbones
from vidkd.backbones.pretrain import registry as networks
from vidkd.lazy import module_of
from vidkd.methods.probes.settings import HEADS
print([backbones.module_of("clip"), networks.module_of("clip"), module_of(HEADS["linear"])])
print(sorted({"torch", "sklearn", "pandas", "transformers"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules, heavy = done.stdout.splitlines()
    assert modules.startswith("['vidkd.backbones.clip', 'vidkd.backbones.pretrain.")
    assert modules.endswith("'vidkd.methods.probes.linear']")
    assert heavy == "[]"
