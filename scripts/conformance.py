"""Run ONNX's own tests of single operators with `tpc run`, and compare with what they expect.

    python conformance.py [--tpc PATH] [--verbose] [--json FILE] [NAME ...]

The tests come with the `onnx` package; they feed even shapes and axes when they run, so each is tried again with all operands but the
first in the file, then with all of them. Files of bf16 are fed and read as f32, those of four bits as eight, behind conversions; models of old sets of operators are read as
set 11 where that has the same operators. A test counts as carried where `tpc` says that it does not run an operator (unknown ones go
through a compile unchanged); a wrong value, or a refusal of what is well-formed, fails. `--json` writes how many tests of each ONNX
operator passed, were carried and failed, by the operator of a test's only node; `docs/operators.md` shows them. Needs: numpy, onnx.
"""
import argparse, collections, copy, json, os, subprocess, sys, tempfile

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

# Where ONNX Runtime and the definition part, `tpc` goes with ONNX Runtime: it scales by whole extents.
RUNTIME = ("resize_downsample_scales_linear_align_corners", "resize_downsample_scales_cubic_align_corners")
# What the language has no type for, or what a network's run is not: sequences, optionals, strings, images, training, randomness.
APART = ("sequence", "optional", "string", "image_decoder", "training", "bernoulli", "random", "_momentum", "_adam", "adagrad", "gradient", "float8", "e4m3", "e5m2", "int2", "float4", "complex")


def same(got, want, rtol, atol):
    if got.shape != want.shape:
        return f"shape {got.shape}, and not {want.shape}"
    got, want = got.astype(np.float64), want.astype(np.float64)
    with np.errstate(all="ignore"):
        far = ~np.isclose(got, want, rtol=rtol, atol=atol, equal_nan=True)
    return f"{int(far.sum())} of {far.size} elements differ" if far.any() else None


def constant(model, inputs, fed):
    """The model with all operands but the first `fed` as initializers, and what is left to feed."""
    model = copy.deepcopy(model)
    for value, tensor in list(zip(model.graph.input, inputs))[fed:]:
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(tensor), value.name))
    del model.graph.input[fed:]
    return model, inputs[:fed]


def newer(model):
    """The model as one of set 11, if its operators are the same there."""
    own = [s for s in model.opset_import if s.domain in ("", "ai.onnx")]
    if not own or own[0].version >= 11:
        return model
    since = lambda node, opset: onnx.defs.get_schema(node.op_type, opset, node.domain).since_version
    if any(since(node, 11) != since(node, own[0].version) for node in model.graph.node):
        return model
    model = copy.deepcopy(model)
    for s in model.opset_import:
        if s.domain in ("", "ai.onnx"):
            s.version = 11
    return model


# What numpy has no type for, and what holds it.
WIDE = {"BFLOAT16": "FLOAT", "INT4": "INT8", "UINT4": "UINT8"}


def widened(model):
    """The model with types of numpy at its inputs and outputs."""
    own = lambda value: onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)
    code = lambda name: onnx.TensorProto.DataType.Value(name)
    narrow = lambda value: own(value) in WIDE
    if not any(map(narrow, [*model.graph.input, *model.graph.output])):
        return model
    model = copy.deepcopy(model)
    graph, before, behind = model.graph, [], []
    for values, isinput in ((graph.input, True), (graph.output, False)):
        for value in filter(narrow, values):
            type_ = own(value)
            name, inner = value.name, f"{value.name} {type_}"
            for node in graph.node:
                for names in (node.input, node.output):
                    names[:] = [inner if n == name else n for n in names]
            value.type.tensor_type.elem_type = code(WIDE[type_])
            if isinput:
                before.append(onnx.helper.make_node("Cast", [name], [inner], to=code(type_)))
            else:
                behind.append(onnx.helper.make_node("Cast", [inner], [name], to=code(WIDE[type_])))
    nodes = [*before, *graph.node, *behind]
    del graph.node[:]
    graph.node.extend(nodes)
    return model


def plain(value):
    """A value as an array that numpy itself has a type for; others stay what they are."""
    if isinstance(value, np.generic):
        value = np.asarray(value)
    wide = {"bfloat16": np.float32, "int4": np.int8, "uint4": np.uint8}
    if isinstance(value, onnx.TensorProto):
        array = numpy_helper.to_array(value)
        value = array if array.dtype.name in wide or array.dtype.isbuiltin == 1 else value
    if isinstance(value, np.ndarray) and value.dtype.name in wide:
        value = value.astype(wide[value.dtype.name])
    return value


def run(tpc, case):
    """None if it passed, `carried: ...`, or what went wrong."""
    model = widened(newer(case.model))
    inputs, outputs = ([plain(value) for value in values] for values in case.data_sets[0])
    if not all(isinstance(value, np.ndarray) for value in [*inputs, *outputs]):
        return "carried: no tensors"
    wrong = once(tpc, case, model, inputs, outputs)
    for fed in (1, 0):
        if wrong and ("cannot be run" in wrong or "its type states" in wrong or "other axes" in wrong) and len(inputs) > fed:
            wrong = once(tpc, case, *constant(model, inputs, fed), outputs)
    return wrong


def once(tpc, case, model, inputs, outputs):
    sets = [s.version for s in model.opset_import if s.domain in ("", "ai.onnx")]
    if not sets or sets[0] < 11:
        return "carried: an old operator set"
    names = [v.name for v in model.graph.input]
    # bf16 has eight bits.
    half = 2**-7 if any(n.endswith(" BFLOAT16") for node in model.graph.node for n in [*node.input, *node.output]) else 0
    with tempfile.TemporaryDirectory() as tmp:
        path, source, out = (os.path.join(tmp, name) for name in ("model.onnx", "in.npz", "out.npz"))
        onnx.save(model, path)
        feeds = {}
        for name, value in zip(names, inputs):
            if value.dtype.kind not in "fiub" or value.dtype.itemsize > 8:
                return "carried: a type that numpy lacks"
            feeds[name] = value
        np.savez(source, **feeds)
        ran = subprocess.run([tpc, "run", path, "-i", source, "-o", out], capture_output=True, text=True, timeout=60)
        message = " ".join(ran.stderr.split())
        if ran.returncode:
            known = ("cannot be run", "is not supported", "operator set")
            return ("carried: " if any(k in message for k in known) else "") + message[:200]
        got = np.load(out)
        for value, want in zip(model.graph.output, outputs):
            wrong = same(got[value.name], want, max(case.rtol, 1e-3, half), max(case.atol, 1e-5, half))
            if wrong:
                return f"`{value.name}`: {wrong}"
    return None


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("names", nargs="*")
    args.add_argument("--tpc", default="target/release/tpc")
    args.add_argument("--verbose", action="store_true")
    args.add_argument("--json")
    args = args.parse_args()
    passed, carried, failed = 0, collections.Counter(), []
    counts = collections.defaultdict(lambda: dict(passed=0, carried=0, failed=0))
    for case in load_model_tests(kind="node"):
        if any(word in case.name for word in APART + RUNTIME) or (args.names and not any(n in case.name for n in args.names)):
            continue
        try:
            wrong = run(os.path.abspath(args.tpc), case)
        except Exception as problem:
            wrong = f"{type(problem).__name__}: {problem}"
        nodes = case.model.graph.node
        verdict = "passed" if wrong is None else "carried" if wrong.startswith("carried") else "failed"
        counts[nodes[0].op_type if len(nodes) == 1 else ""][verdict] += 1
        if wrong is None:
            passed += 1
        elif wrong.startswith("carried"):
            carried[case.name] += 1
            if args.verbose:
                print(f"  {case.name}: {wrong}")
        else:
            failed.append(case.name)
            print(f"FAIL {case.name}: {wrong}", flush=True)
    if args.json:
        with open(args.json, "w") as file:
            json.dump(dict(onnx=onnx.__version__, several=counts.pop("", {}), operators=counts), file, indent=1, sort_keys=True)
            file.write("\n")
    print(f"{passed} passed, {len(failed)} failed, {sum(carried.values())} carried")
    sys.exit(len(failed) > 0)


if __name__ == "__main__":
    main()
