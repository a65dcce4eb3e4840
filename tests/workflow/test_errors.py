"""A mistake in the configuration ends Snakemake with one sentence."""

from __future__ import annotations

import pytest

from tests.workflow.conftest import TINY


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--config", "ffn={base: {lr: -1}}"], "ffn.base.lr"),
        (["--config", "ffn={base: {lrr: 1}}"], "lr"),
        (["--config", "data={adapter: csv, root: nowhere}"], "there is no folder nowhere"),
    ],
)
def test_sentence_without_traceback(ffn_alone, arguments, sentence):
    done = ffn_alone.dry_run("--configfile", TINY, *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_failed_job_says_why_on_the_screen(project):
    """One training video cannot cover the classes of the other splits, so the listing fails."""
    project.replace(TINY, "train: 48, val: 24, test: 24", "train: 1, val: 24, test: 24")
    done = project.snakemake("results/tiny/data/classes.json", "--cores", "1", "--configfile", TINY)
    assert done.returncode == 1
    assert "Error: " in done.stderr
    assert "is not one of the" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_experiment_does_not_inherit_from_the_demo(project):
    """Snakemake merges configuration files; the demo's flip labels would be wrong for real data."""
    project.replace(
        "Snakefile", "##### stages #####", "print('FLIP', cfg.ffn.base.flip_labels, cfg.results_dir)"
    )
    alone = project.dry_run("--quiet", "all", "--configfile", TINY)
    demo = project.dry_run("--quiet", "all")
    assert "FLIP {} results/tiny" in alone.stdout
    assert "move_left" in demo.stdout
