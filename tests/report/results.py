"""A results folder as the rules leave it, with predictions of random networks: every method, in a second.

Files are real (csv, json, their provenance); only no network has made them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from click.testing import CliRunner

from vidkd.artefacts import write_sidecar
from vidkd.evaluate.classes import class_gate, read_predictions, run_figures
from workflow_scripts import build_report, tabulate_report

CLASSES = ["appear", "left_&_right", "<b>orbit</b>", "50% off", "recede", "ä|b"]
"""Names that would break a page, a Markdown table and a LaTeX table."""

CLIPS = 90


def predictions(seed: int, sure: float) -> pd.DataFrame:
    """Scores of a network that knows the label the better the larger `sure` is; labels never change."""
    label = np.random.default_rng(0).integers(len(CLASSES), size=CLIPS)
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(CLIPS, len(CLASSES))) + sure * np.eye(len(CLASSES))[label]
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    columns = {f"s_{k}": scores[:, k].round(6) for k in range(len(CLASSES))}
    ids = [f"clip_{n:03d}" for n in range(CLIPS)]
    table = pd.DataFrame({"video_id": ids, "label_id": label, "pred": scores.argmax(1)})
    return pd.concat([table, pd.DataFrame(columns)], axis=1)


def by_count(table: pd.DataFrame) -> pd.DataFrame:
    """The same as FFN's predictions are: at 4 and 8 frames, the second with these scores."""
    scores = {name: f"s8_{name[2:]}" for name in table if name.startswith("s_")}
    found = table.rename(columns={"pred": "pred_8f", **scores})
    found.insert(2, "pred_4f", np.roll(table["pred"], 1))
    return found


def write_run(
    folder: Path, table: pd.DataFrame, seed: int, settings: dict[str, object], **more: object
) -> Path:
    """The files of a run that the report reads; returns its `metrics.json`."""
    folder.mkdir(parents=True)
    weights = folder / "model.safetensors"
    weights.write_bytes(b"weights")
    write_sidecar(weights, settings=settings, inputs=[], code="c0de" * 16, seed=seed)
    table.to_csv(folder / "predictions.csv", index=False)
    read = read_predictions(folder / "predictions.csv")
    gate = more.pop("gate", None) or class_gate(read)
    about = {"method": folder.parts[-3], "run": folder.parts[-2], "seed": seed}
    run = {**about, **run_figures(read, CLASSES), "frames": 8, "result_gate": gate, **more}
    (folder / "metrics.json").write_text(json.dumps(run))
    (folder / "history.csv").write_text("epoch,lr,task_loss,val_top1\n1,0.1,2.5,20\n2,0.05,1.25,40\n")
    return folder / "metrics.json"


SURE = {
    "ffn": {"ffn": 3.0, "tsm": 2.0},
    "fusion": {"student": 1.0, "converted": 1.0},
    "student": {"ce": 0.5, "distilled": 2.0},
    "trimodel": {"ce": 1.0, "both": 1.1},
}
"""Variants of each method, the first of `student`, `fusion` and `trimodel` is the baseline; FFN's is tsm."""

BASELINES = {"ffn": "tsm", "fusion": "student", "student": "ce", "trimodel": "ce"}

LATENCY = """variant,frames,params,gflops,size_mb,peak_mb,ms_1,ms_1_low,ms_1_high,ms_2,ms_2_low,ms_2_high
{0},8,1200000,0.5,4.8,2.5,10.5,10.1,11.2,7.25,7.1,7.9
{1},8,600000,0.25,2.4,1.5,5.5,5.1,6.2,4.25,4.1,4.9
"""


def write_results(
    root: Path, methods: tuple[str, ...] = tuple(SURE), seeds: tuple[int, ...] = (0, 1)
) -> list[Path]:
    """Runs, class names and times of these methods below `root`; returns the `metrics.json` files."""
    metrics = []
    for method in methods:
        for number, (variant, sure) in enumerate(SURE[method].items()):
            for seed in seeds:
                table = predictions(100 * number + seed + 1, sure)
                table = by_count(table) if method == "ffn" else table
                folder = root / method / variant / f"seed{seed}"
                settings = {"lr": 0.1, "loss": {"alpha": number}}
                metrics.append(write_run(folder, table, seed, settings))
        (root / method / "classes.json").write_text(json.dumps(CLASSES))
        (root / method / "latency.csv").write_text(LATENCY.format(*SURE[method]))
    return metrics


TFD = """variant,seeds,acc_4f,acc_4f_std,acc_8f,acc_8f_std,tfd_gap,tfd_gap_std,dev_4f,params,gflops_4f,clips
tsm,2,40.0,2.5,90.04,1.0,50.0,1.0,3.5,459100,0.1,90
ffn,2,85.25,1.5,90.04,1.0,4.75,0.5,-1.25,472252,0.123,90
"""
ANY_FRAME = """variant,frames,acc,acc_std,seeds,clips
tsm,1,20,1,2,90
tsm,2,40,1,2,90
ffn,1,80,,1,90
ffn,2,85,,1,90
"""
EXCLUDED = "video_id,path,reason,detail\nv|1,a_b/100%.mp4,empty,the file has no bytes & no name\n"
PROBES = """backbone,head,label,seeds,top1,top1_std,low,high,chance,above_chance,params,pairs,clips
clip,linear,shape,1,91.25,,88.1,93.2,25.0,True,1926,,90
vivit,attentive,motion,2,80.0,1.5,76.5,83.0,8.3,True,12345,96.04,90
"""
CONVERTERS = """converter,teacher,split,seeds,clips,r2,r2_std,r2_mean_feature,cosine,cosine_std,\
cosine_mean_feature,cka,cka_std,probe_top1,probe_top1_std,params
linear,vivit,test,2,600,0.3126,0.0114,-0.0021,0.7134,0.0012,0.5512,,,50.25,1.25,4160
random,vivit,test,2,600,-2.5,0.02,-0.0021,0.1234,0.0012,0.5512,,,9.0,1.0,4160
linear,vivit,val,2,300,0.3321,0.0114,-0.0011,0.7234,0.0012,0.5412,,,51.25,1.25,4160
random,vivit,val,2,300,-2.4,0.02,-0.0011,0.1334,0.0012,0.5412,,,8.0,1.0,4160
"""
FUSION = """variant,inputs,seeds,clips,top1,top1_std,low,high,clips_compared,\
delta_vs_student,delta_vs_student_std,delta_low,delta_high,p_vs_student,p_holm,gap_closed,gap_low,\
gap_high,params,gate_vivit
alone,vjepa2,2,600,60.1,0.5,56.1,64.0,600,,,,,,,,,,25000,
<all>,vjepa2 + linear(vivit),\
2,600,62.3,0.6,58.2,66.1,600,2.25,0.25,0.5,4.125,0.0123,0.0246,14.75,3,25,61000,0.417
random,vjepa2 + random(vivit),2,600,60.0,0.6,56.0,64.1,600,-0.1,0.75,-1.1,1.4,0.81,0.81,-1,-8,10,61000,0.1
"""
MODES = """variant,seed,clips,student_dtype,max_logit_difference,tolerance,same_predictions,agree
all,0,600,float32,2.34e-07,1e-05,600,True
"""
STUDENT = """variant,teacher_view,train_clips,labelled_clips,seeds,clips,top1,top1_std,low,high,delta,\
delta_std,delta_low,delta_high,p,p_holm,top5,f1,f1_std,agreement,cosine,params,gflops,ms_1,ms_2
ce,none,192,192,2,600,61.25,0.5,57.2,65.1,,,,,,,,58.5,0.25,57.5,0.01,636205,0.0352,14.06,12.54
<kd>,online,1920,192,2,600,65.75,0.5,61.8,69.4,4.5,0.25,1.3,7.5,0.0082,0.0082,,62.5,0.25,61.5,0.0252,636205,0.0352,13.84,12.26
teacher,itself,192,192,1,600,66.0,,62.1,69.6,,,,,,,,64.75,,100,1,120836,0.0245,5.59,3.68
"""
TEACHERS = """teacher,label,head,used,fitted_on,val_top1,val_largest_class,test_top1,test_largest_class,\
margin,gate,reason
clip,texture,probe,False,192,68.3,27.2,65.5,26.3,10,True,
clip,texture,average,True,192,69.4,27.2,66.0,26.3,10,True,
clip,motion,average,True,192,13.3,8.3,10.5,8.3,10,False,its validation top-1 is 13.3% <and> no more
"""
NETWORKS = """role,network,label,fitted_on,val_top1,val_largest_class,test_top1,test_largest_class,\
margin,gate,reason
teacher,videomae,motion,192,57.5,8.3,54.8,8.3,10,True,
assistant,amd,motion,192,9.1,8.3,8.9,8.3,10,False,its validation top-1 is 9.1%
"""
TRIMODEL = """variant,teacher,assistant,labelled_clips,seeds,clips,top1,top1_std,low,high,delta,\
delta_low,delta_high,p,p_holm,mean_class,f1,ap,task_loss,teacher_feature_loss,params,gflops,ms_1,ms_2
ce,none,none,192,2,600,56.0,0.5,52.0,59.9,,,,,,56.0,55.9,59.9,0.5814,,125772,0.0257,3.371,3.984
both,loaded,loaded,192,2,600,54.5,0.5,50.5,58.4,-1.5,-5.5,2.5,0.51,1.0,54.5,52.8,57.1,1.3431,0.0285,125772,0.0257,3.39,4.13
"""
GIVEN = {
    "tfd": TFD,
    "any_frame": ANY_FRAME,
    "excluded": EXCLUDED,
    "probes": PROBES,
    "converters": CONVERTERS,
    "fusion": FUSION,
    "modes": MODES,
    "student": STUDENT,
    "teachers": TEACHERS,
    "networks": NETWORKS,
    "trimodel": TRIMODEL,
}
"""Tables of the methods, as their rules write them."""


def tabulate(root: Path, metrics: list[Path], names: tuple[str, ...] = tuple(GIVEN)) -> Path:
    """Run `tabulate_report` on the results below `root` and on these tables; returns the folder it writes."""
    methods = list(dict.fromkeys(path.parts[-4] for path in metrics))
    options = [
        f"--{kind}={method}={root}/{method}/{file}"
        for method in methods
        for kind, file in (("classes", "classes.json"), ("latency", "latency.csv"))
    ]
    options += [f"--baseline={method}={BASELINES[method]}" for method in methods]
    (root / "given").mkdir(exist_ok=True)
    for name in names:
        file = root / "given" / f"{name}.csv"
        if not file.exists():
            file.write_text(GIVEN[name])
        options.append(f"--table={name}={file}")
    folder = root / "report" / "tables"
    done = CliRunner().invoke(tabulate_report.main, [*options, f"--folder={folder}", *map(str, metrics)])
    assert done.exit_code == 0, done.output
    return folder


def build_page(root: Path, *options: str) -> str:
    """Run `build_report` on the tables and figures in `root/report`; returns the page."""
    report = root / "report"
    words = [f"--table={file.stem}={file}" for file in sorted((report / "tables").glob("*.csv"))]
    words += [f"--figure={file.stem}={file}" for file in sorted((report / "figures").glob("*.svg"))]
    page = report / "index.html"
    done = CliRunner().invoke(build_report.main, [*words, *options, f"--page={page}"])
    assert done.exit_code == 0, done.output
    return page.read_text()
