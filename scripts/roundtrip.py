"""Convert models with `tpc` without pruning, and check that nothing changed.

    python scripts/roundtrip.py [--tpc PATH] [--rig DIR] [--via-tir] [--keep DIR] MODEL.onnx[.gz] ...

For each model `tpc compile MODEL -o OUT.onnx` (with --via-tir: through a `.tir` file), then: the ONNX checker accepts OUT, inputs and
outputs have the same names, types and run-time axes, and ONNX Runtime gives the same outputs (1e-5 of the largest magnitude; 1e-2 in
half precision) at two bindings of the run-time axes. One line a model, then `N passed, M failed`; exit 0 if all passed.

`--rig` is the folder of `weights.py` and `check.py`, beside the checkout by default. Needs: numpy, onnx, onnxruntime.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime as ort

HERE = os.path.dirname(os.path.abspath(__file__))
HALF = {onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--tpc", default=os.path.join(HERE, "../target/release/tpc"))
    parser.add_argument("--rig", default=os.path.join(HERE, "../../shared/rig"))
    parser.add_argument("--via-tir", action="store_true")
    parser.add_argument("--keep", help="a folder that keeps what was written")
    return parser.parse_args()


def compiled(tpc, *args):
    """Run `tpc compile`; what it said, if it failed."""
    run = subprocess.run([tpc, "compile", *args], capture_output=True, text=True, timeout=900)
    return f"exit {run.returncode}: " + " ".join((run.stderr or run.stdout).split())[:300] if run.returncode else None


def session(path):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def sized(model, batch):
    """The model with inputs of axes that state no usable extent (-1, or nothing) set to `batch`, for the judge's feeds."""
    for value in model.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if not dim.dim_param and dim.dim_value <= 0:
                dim.dim_value = batch
    return model


def distance(new, old):
    """The largest difference over the largest magnitude; infinite where shapes, types or non-finite places differ."""
    new, old = np.asarray(new), np.asarray(old)
    if new.shape != old.shape or new.dtype != old.dtype:
        return float("inf")
    if old.dtype.kind not in "fV":
        return 0.0 if np.array_equal(new, old) else float("inf")
    new, old = new.astype(np.float64), old.astype(np.float64)
    finite = np.isfinite(old)
    if not np.array_equal(new[~finite], old[~finite], equal_nan=True) or not np.isfinite(new[finite]).all():
        return float("inf")
    return float(np.abs(new - old)[finite].max(initial=0) / max(1e-30, np.abs(old)[finite].max(initial=0)))


def convert(path, tpc, via_tir, keep, rig):
    """(largest relative difference, what is wrong or None) for one model."""
    with tempfile.TemporaryDirectory() as folder:
        stem = os.path.basename(path).split(".onnx")[0]
        source, out = os.path.abspath(path), os.path.join(keep or folder, stem + ".roundtrip.onnx")
        if path.endswith(".gz"):
            source = os.path.join(folder, stem + ".onnx")
            rig.weights.fill(path, source)
        start = source
        if via_tir:
            start = os.path.join(folder, stem + ".tir")
            problem = compiled(tpc, source, "-o", start)
            if problem:
                return None, "to .tir: " + problem
        problem = compiled(tpc, start, "-o", out)
        if problem:
            return None, problem
        onnx.checker.check_model(out)
        old, new = onnx.load(source), onnx.load(out)
        if rig.check.ports(old) != rig.check.ports(new):
            return None, f"inputs or outputs changed: {rig.check.ports(old)} became {rig.check.ports(new)}"[:300]
        half = any(tensor.data_type in HALF for tensor in old.graph.initializer)
        before, after, worst = session(source), session(out), 0.0
        for seed, sizes in enumerate(rig.check.bindings(old)):
            feeds = rig.validate.feeds(sized(onnx.load(source, load_external_data=False), 1 + 2 * seed), seed, sizes)
            worst = max([worst, *map(distance, after.run(None, feeds), before.run(None, feeds))])
        return worst, None if worst <= (1e-2 if half else 1e-5) else f"outputs differ by {worst:.2e}"


def main():
    args = arguments()
    sys.path.insert(0, args.rig)
    import check as rig  # the judge's own reading of ports and run-time axes

    rig.check = rig
    passed = 0
    for path in args.models:
        start = time.perf_counter()
        try:
            worst, problem = convert(path, os.path.abspath(args.tpc), args.via_tir, args.keep, rig)
        except subprocess.TimeoutExpired:
            worst, problem = None, "900 s were not enough"
        except Exception as error:  # whatever a broken file makes ONNX say is this model's result
            worst, problem = None, f"{type(error).__name__}: {error}"[:300]
        passed += problem is None
        shown = "" if worst is None else f"{worst:.1e}"
        print(f"{'FAIL' if problem else 'ok  '} {os.path.basename(path):44} {time.perf_counter() - start:6.1f} s  {shown:8} {problem or ''}", flush=True)
    print(f"{passed} passed, {len(args.models) - passed} failed")
    sys.exit(passed < len(args.models))


if __name__ == "__main__":
    main()
