"""Write docs/coverage.md: what `tpc` does with real models, and what Torch-Pruning does with them.

    python coverage.py [--models DIR ...] [--zoo] [--keras PYTHON] [--paddle PYTHON] [--ultralytics PYTHON] [--transformers PYTHON] [--torch-pruning] [--only NAME ...] [--render]

`--models` takes ONNX files of a folder (`.onnx.gz` are filled by the `weights.py` of the rig beside it), `--zoo` exports the list of `zoo.py` one model at a time,
`--keras`, `--paddle`, `--ultralytics` and `--transformers` those of `zoo_keras.py`, `zoo_paddle.py`, `zoo_ultralytics.py` and `zoo_transformers.py` by interpreters that have what these need, `--torch-pruning` prunes the same models by Torch-Pruning 1.6 (120 s of a processor each), `--render` writes the table of what was measured before. Every result is kept as
a line of `--results`, and what is there is not done again. For each model: `tpc groups` (timed), then `tpc compile` of half of every width, verified, then a run of
what it wrote in ONNX Runtime. Needs: onnx, onnxruntime; for the zoo what `zoo.py` needs; torch-pruning.
"""
import argparse, collections, glob, importlib.util, json, os, signal, statistics, subprocess, sys, tempfile, time

import zoo, zoo_keras, zoo_paddle, zoo_transformers, zoo_ultralytics

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
PLAN = "[target]\nratio = 0.5\n"
LIMIT = 120
EXPORTERS = {"bn": "TorchScript", "dynamo": "torch.export", "raw": "torch.export, raw", "": "as trained", "tf2onnx": "tf2onnx", "nchw": "tf2onnx, NCHW", "keras": "Keras 3", "tflite": "TensorFlow Lite",
             "paddle": "Paddle", "fixed": "Paddle, all known", "ultralytics": "Ultralytics", "genai": "onnxruntime-genai", "int4": "onnxruntime-genai, 4 bits"}
# What torch-dag publishes for its share of prunable multiply-accumulates.
TORCH_DAG = {"resnet50": 0.999, "efficientnet_b0": 0.996, "convnext_tiny": 0.93, "beit_base_patch16_224": 0.66, "ghostnet_100": 0.069}


def call(command, limit=600, last=False):
    """What a command writes, what went wrong (all that it says, or the last line where libraries warn before), and its seconds."""
    start = time.perf_counter()
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return None, f"{limit} s were not enough", limit
    seconds = time.perf_counter() - start
    if ran.returncode == -signal.SIGXCPU:
        return None, f"{LIMIT} s were not enough", seconds
    said = (ran.stderr or ran.stdout).strip() or f"exit {ran.returncode}"
    message = None if ran.returncode == 0 else " ".join((said.splitlines()[-1] if last else said).split())[:300]
    return ran.stdout, message, seconds


def split_name(path):
    """Model and exporter of a file's name."""
    stem = os.path.basename(path).split(".onnx")[0]
    model, _, exporter = stem.rpartition(".")
    if exporter and exporter in EXPORTERS:
        return model, exporter
    return stem, "dynamo" if stem.startswith("hf") else ""


def runs(path):
    """Whether ONNX Runtime runs a file: what went wrong, or nothing."""
    import numpy as np
    import onnxruntime
    onnxruntime.set_default_logger_severity(4)
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        feeds = {}
        named = {n for i in session.get_inputs() for n in i.shape if isinstance(n, str)}
        cached = "past_sequence_length" in named
        # Attention behind a cache takes one batch, and counts what was there and what is new.
        known = dict(batch_size=1, sequence_length=16, past_sequence_length=16, past_sliding_length=4096, total_sequence_length=32, kv_cache_dim=32) if cached else {}
        for i in session.get_inputs():
            shape = [n if isinstance(n, int) and n > 0 else known[n] if n in known else 2 if k == 0 else 64 if len(i.shape) == 4 else 16 for k, n in enumerate(i.shape)]
            kind = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(bool)": bool}[i.type]
            feeds[i.name] = np.ones(shape, kind)
        session.run(None, feeds)
    except Exception as problem:
        return f"ONNX Runtime: {type(problem).__name__}: {' '.join(str(problem).split())[:300]}"
    return None


def measure(tpc, path, row):
    """Groups, compile, run; fills the row."""
    import onnx
    graph = onnx.load(path, load_external_data=False).graph
    kinds = collections.Counter(n.op_type for n in graph.node)
    row.update(nodes=len(graph.node), kinds=len(kinds), attention="Softmax" in kinds or "Attention" in kinds)
    del graph
    out, wrong, seconds = call([tpc, "groups", path, "--json"])
    if wrong:
        row["error"] = wrong
        return
    for _ in range(2):
        seconds = min(seconds, call([tpc, "groups", path, "--json"])[2]) if seconds < 2 else seconds
    groups = json.loads(out)
    classes = collections.Counter(g["class"] for g in groups["groups"])
    row.update(analysis=round(seconds, 3), widths=classes["width"], counts=classes["count"], frozen=len(groups["frozen"]), reach=groups["reach"])
    with tempfile.TemporaryDirectory() as tmp:
        plan, pruned = os.path.join(tmp, "plan.toml"), os.path.join(tmp, "pruned.onnx")
        with open(plan, "w") as file:
            file.write(PLAN)
        out, wrong, seconds = call([tpc, "compile", path, "--prune", plan, "-o", pruned, "--json"])
        row["compile"] = round(seconds, 2)
        if wrong:
            row["error"] = wrong
            return
        lock = json.loads(out)
        verified = lock["verified"]
        row.update(params=lock["cost"]["params"], macs=lock["cost"].get("macs"), verified=verified["error"], cuts=len(verified.get("cuts", [])), skipped=verified.get("skipped", 0))
        wrong = runs(pruned)
        if wrong and not runs(path):
            row["error"] = wrong
        elif wrong:
            row["unrun"] = True


class Results:
    """What was measured, a line each; the last of a key holds."""

    def __init__(self, path):
        self.path, self.rows = path, {}
        if os.path.exists(path):
            for line in open(path):
                row = json.loads(line)
                self.rows[row["key"]] = row

    def add(self, row):
        self.rows[row["key"]] = row
        with open(self.path, "a") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{'FAIL' if row.get('error') else 'ok  '} {row['key']:44} {row.get('error', '')}", flush=True)


def one(results, tpc, path, source):
    model, exporter = split_name(path)
    row = dict(key=f"{model}.{exporter}", model=model, exporter=exporter, source=source)
    try:
        measure(tpc, path, row)
    except Exception as problem:
        row["error"] = f"{type(problem).__name__}: {problem}"
    results.add(row)


def given(results, tpc, folder, wanted):
    for path in sorted(glob.glob(os.path.join(folder, "*.onnx*"))):
        model, exporter = split_name(path)
        if f"{model}.{exporter}" in results.rows or not wanted(model):
            continue
        with tempfile.TemporaryDirectory() as tmp:
            if path.endswith(".gz"):
                filled = os.path.join(tmp, os.path.basename(path)[:-3])
                spec = importlib.util.spec_from_file_location("weights", os.path.join(folder, "..", "rig", "weights.py"))
                weights = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(weights)
                weights.fill(path, filled)
                path = filled
            one(results, tpc, path, "given")


def exported(results, tpc, wanted, family, exporters, python):
    """All models by the first exporter, then by the others: what is there when time is up is of all kinds."""
    for exporter in exporters:
        for name in family.sources():
            model, key = family.stem(name), f"{family.stem(name)}.{exporter}"
            if key in results.rows or not wanted(model) or not family.fits(name, exporter):
                continue
            with tempfile.TemporaryDirectory() as tmp:
                _, wrong, _ = call([python, family.__file__, f"{name}.{exporter}", "--out", tmp], 400, last=True)
                path = os.path.join(tmp, f"{key}.onnx")
                if wrong or not os.path.exists(path):
                    results.add(dict(key=key, model=model, exporter=exporter, source="zoo", unexported=True, error=f"not exported: {wrong}"))
                else:
                    one(results, tpc, path, "zoo")


def by_torch_pruning(results, wanted):
    for name in zoo.sources():
        key = f"{zoo.stem(name)}.torch-pruning"
        if name.startswith("dyn/") or key in results.rows or not wanted(zoo.stem(name)):
            continue
        out, wrong, seconds = call([sys.executable, os.path.join(HERE, "prune_by_torch.py"), name], 1800, last=True)
        row = dict(key=key, model=zoo.stem(name), seconds=round(seconds, 1))
        if wrong:
            row["error"] = wrong
        else:
            row.update(json.loads(out.strip().splitlines()[-1]))
        results.add(row)


def percent(share):
    return f"{100 * share:.1f}"


def reasons(row):
    if blind(row):
        return "values of unknown rank behind a carried operator: nothing is counted"
    macs = max(1, row["reach"]["macs"])
    top = [k for k in row["reach"]["kept"] if k["macs"] / macs >= 0.0005][:3]
    return ", ".join(f"{k['reason']} {percent(k['macs'] / macs)} %" for k in top).replace("|", "\\|") or "-"


def blind(row):
    """Whether operations could not be counted, since values behind an operator that is carried have no rank."""
    return bool(row["reach"].get("unknown") or row.get("skipped"))


def shares(row):
    reach = row["reach"]
    if blind(row):
        return 0, 0, 0
    macs = max(1, reach["macs"])
    return reach["widths"] / macs, 1 - reach["least"] / macs, reach["outputs"] / max(1, reach["weighted"])


def render(results, path):
    rows = [r for r in results.rows.values() if "exporter" in r and not r.get("unexported")]
    theirs = {r["model"]: r for r in results.rows.values() if r["key"].endswith(".torch-pruning")}
    # Names of the given transformers differ from those of the list in the exporter's name only.
    rows.sort(key=lambda r: (r["model"].startswith("hfdyn"), r["model"].startswith("hf"), r["model"], list(EXPORTERS).index(r["exporter"])))
    good = [r for r in rows if not r.get("error")]
    lines = [open(os.path.join(HERE, "coverage.txt")).read().strip(), "", "## In short", ""]
    lines += [f"- {len(rows)} files of {len({r['model'] for r in rows})} models: {len(good)} are pruned and verified, {len(rows) - len(good)} are not (below); ONNX Runtime runs {sum(not r.get('unrun') for r in good)} of them.",
              f"- Largest error of a value that verification found, relative to the largest magnitude of the value: {max(r['verified'] for r in good):.1e}."]
    unrun = sorted(f"{r['model']} ({EXPORTERS[r['exporter']]})" for r in rows if r.get("unrun"))
    if unrun:
        lines.append(f"- Not run there, as the original does not run on inputs of ones either: {', '.join(unrun)}.")
    unseen = sorted(f"{r['model']} ({EXPORTERS[r['exporter']]})" for r in rows if "reach" in r and blind(r))
    if unseen:
        lines.append(f"- In {len(unseen)} files values behind an operator that is carried through have no rank, and little or nothing is pruned: {', '.join(unseen)}.")
    plain = lambda r: not r["model"].startswith(("hf", "genai", "keras", "paddle")) and r["exporter"] != "ultralytics"
    kinds = [("convolutional and mixer networks", lambda r: plain(r) and not r["attention"]), ("vision networks with attention", lambda r: plain(r) and r["attention"]),
             ("small transformers", lambda r: r["model"].startswith("hf")), ("decoders of onnxruntime-genai", lambda r: r["model"].startswith("genai")), ("networks of Keras", lambda r: r["model"].startswith("keras")), ("networks of Paddle", lambda r: r["model"].startswith("paddle")),
             ("networks of Ultralytics", lambda r: r["exporter"] == "ultralytics")]
    lines += ["", "| median of | files | prunable % | removable % | by outputs % | least prunable % | least removable % |", "|---|---|---|---|---|---|---|"]
    for label, fits in kinds:
        of = [shares(r) for r in rows if "reach" in r and fits(r)]
        if of:
            middle = [percent(statistics.median(column)) for column in zip(*of)]
            least = [percent(min(column)) for column in zip(*of)][:2]
            lines.append(f"| {label} | {len(of)} | {' | '.join(middle + least)} |")
    if theirs:
        works = [r for r in theirs.values() if not r.get("error")]
        same = [r for r in rows if r["model"] in theirs]
        ours = {r["model"] for r in same} - {r["model"] for r in same if r.get("error")}
        lines += ["", f"Torch-Pruning gives a network that runs for {len(works)} of {len(theirs)} models; `tpc` compiles and verifies every file of {len(ours)} of the {len({r['model'] for r in same})} of them that were exported."]
    published = [(m, s, [shares(r)[2] for r in rows if r["model"] == m and "reach" in r]) for m, s in TORCH_DAG.items()]
    lines += ["", "Beside torch-dag, which publishes the share of the multiply-accumulates of its prunable convolutions and linear layers (here: by outputs, the least of the files of a model):", "", "| model | torch-dag | tpc |", "|---|---|---|"]
    lines += [f"| {m} | {s} | {min(o):.3f} |" for m, s, o in published if o]
    failed = [r for r in rows if r.get("error")]
    if failed:
        lines += ["", "## What does not go through", "", "| model | exporter | what `tpc` says |", "|---|---|---|"]
        lines += [f"| {r['model']} | {EXPORTERS[r['exporter']]} | {r['error'].replace('|', chr(92) + '|')} |" for r in failed]
    gone = [r for r in results.rows.values() if r.get("unexported")]
    if gone:
        lines += ["", "Not written by the exporter itself: " + ", ".join(f"{r['model']} ({EXPORTERS[r['exporter']]})" for r in sorted(gone, key=lambda r: r["key"])) + "."]
    lines += ["", "## All files", "", "| model | exporter | operations (kinds) | widths | counts | frozen | prunable % | removable % | by outputs % | what the rest is | analysis ms | compile s | params left % | error | Torch-Pruning |",
              "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"]
    for r in rows:
        if "reach" not in r:
            continue
        other = theirs.get(r["model"])
        beside = "" if other is None else f"no: {other['error'].split(':')[0]}" if other.get("error") else f"{other['prune']:.1f} s"
        left = percent(r["params"][1] / max(1, r["params"][0])) if "params" in r else "-"
        error = f"{r['verified']:.1e}" + (f", {r['cuts']} cuts" if r["cuts"] else "") if "verified" in r else "-"
        lines.append(f"| {r['model']} | {EXPORTERS[r['exporter']]} | {r['nodes']} ({r['kinds']}) | {r['widths']} | {r['counts']} | {r['frozen']} | {' | '.join(map(percent, shares(r)))} | {reasons(r)} | {1000 * r['analysis']:.0f} | {r.get('compile', '-')} | {left} | {error} | {beside} |")
    lost = [r for r in theirs.values() if r.get("error")]
    if lost:
        lines += ["", "## Where Torch-Pruning fails", "", "| model | what it says |", "|---|---|"]
        lines += [f"| {r['model']} | {r['error'].replace('|', chr(92) + '|')[:160]} |" for r in sorted(lost, key=lambda r: r["key"])]
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")
    print(f"wrote {path}: {len(rows)} files, {len(failed)} of them not verified")


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--models", nargs="*", default=[], metavar="DIR")
    args.add_argument("--zoo", action="store_true")
    args.add_argument("--exporters", nargs="*", default=list(zoo.EXPORTERS), choices=zoo.EXPORTERS)
    args.add_argument("--keras", metavar="PYTHON")
    args.add_argument("--paddle", metavar="PYTHON")
    args.add_argument("--ultralytics", metavar="PYTHON")
    args.add_argument("--transformers", metavar="PYTHON")
    args.add_argument("--torch-pruning", action="store_true")
    args.add_argument("--only", nargs="*", metavar="NAME")
    args.add_argument("--render", action="store_true")
    args.add_argument("--tpc", default=os.path.join(ROOT, "target/release/tpc"))
    args.add_argument("--results", default=os.path.join(ROOT, "target/coverage.jsonl"))
    args.add_argument("--out", default=os.path.join(ROOT, "docs/coverage.md"))
    args = args.parse_args()
    results, tpc = Results(args.results), os.path.abspath(args.tpc)
    wanted = lambda model: not args.only or any(n in model for n in args.only)
    for folder in args.models:
        given(results, tpc, folder, wanted)
    if args.zoo:
        exported(results, tpc, wanted, zoo, args.exporters, sys.executable)
    for family, python in ((zoo_keras, args.keras), (zoo_paddle, args.paddle), (zoo_ultralytics, args.ultralytics), (zoo_transformers, args.transformers)):
        if python:
            exported(results, tpc, wanted, family, family.EXPORTERS, python)
    if args.torch_pruning:
        by_torch_pruning(results, wanted)
    render(results, args.out)
    sys.exit(any(r.get("error") and not r.get("unexported") and not r["key"].endswith(".torch-pruning") for r in results.rows.values()))


if __name__ == "__main__":
    main()
