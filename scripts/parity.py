"""Compare what `tpc` removes with what Torch-Pruning removes, on equal weights.

    python parity.py [--tpc PATH] [--json FILE] [MODEL ...]

For each torchvision model (rounding is left out where convolutions are grouped: there Torch-Pruning rounds the channels of one
group by the number of all, and `tpc` rounds all of them): random weights without ties, exported to ONNX; then Torch-Pruning's `MagnitudePruner` and
`tpc compile --prune` by the same ratio, scope and rounding. Every tensor of the pruned networks must be the same, element
by element, and so must the counts of params and multiply-accumulates. Needs: torch, torchvision, torch-pruning, onnx.
"""
import argparse, copy, json, os, subprocess, sys, tempfile, time, warnings

import numpy as np
import onnx
import torch
import torch_pruning
import torchvision
from onnx import numpy_helper

warnings.filterwarnings("ignore")

MODELS = ["resnet18", "resnet50", "densenet121", "mobilenet_v2", "vgg19_bn", "googlenet", "resnext50_32x4d", "regnet_y_400mf", "efficientnet_b0", "mnasnet1_0"]
SETTINGS = {
    "local 0.5": dict(ratio=0.5),
    "local 0.3": dict(ratio=0.3),
    "global 0.5": dict(ratio=0.5, scope="global"),
    "local 0.5, rounded to 8": dict(ratio=0.5, round_to=8),
}


def network(name):
    """A network in which every tensor is random: no two channels score alike."""
    torch.manual_seed(0)
    extra = dict(aux_logits=False, init_weights=False) if name in ("googlenet", "inception_v3") else {}
    model = getattr(torchvision.models, name)(weights=None, **extra).eval()
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if not value.is_floating_point():
                continue
            if value.dim() > 1:
                value.normal_(0, (2 / value[0].numel()) ** 0.5)
            elif "var" in key or key.endswith("weight"):
                value.uniform_(0.5, 1.5)
            else:
                value.normal_(0, 0.1)
    return model


def export(model, x, path):
    torch.onnx.export(model, x, path, dynamo=False, opset_version=17, do_constant_folding=False,
                      training=torch.onnx.TrainingMode.PRESERVE, input_names=["input"], output_names=["output"])


def classifier(model):
    """The layer that makes the output, which both leave as it is."""
    return [m for m in model.modules() if isinstance(m, (torch.nn.Linear, torch.nn.Conv2d))][-1]


def is_grouped(model):
    return any(isinstance(m, torch.nn.Conv2d) and 1 < m.groups < m.in_channels for m in model.modules())


def by_torch_pruning(model, x, setting):
    """The pruned network, its params and multiply-accumulates, and the seconds that it took."""
    model = copy.deepcopy(model)
    start = time.perf_counter()
    pruner = torch_pruning.pruner.MagnitudePruner(
        model, x, importance=torch_pruning.importance.MagnitudeImportance(p=2), pruning_ratio=setting["ratio"],
        global_pruning=setting.get("scope") == "global", round_to=setting.get("round_to"), ignored_layers=[classifier(model)])
    pruner.step()
    seconds = time.perf_counter() - start
    macs, params = torch_pruning.utils.count_ops_and_params(model, x)
    return model.state_dict(), dict(macs=int(macs), params=int(params)), seconds


def by_tpc(tpc, source, folder, setting):
    plan, out = os.path.join(folder, "plan.toml"), os.path.join(folder, "pruned.onnx")
    with open(plan, "w") as file:
        file.write(f"[target]\nratio = {setting['ratio']}\n[select]\nscope = \"{setting.get('scope', 'local')}\"\nround_to = {setting.get('round_to', 1)}\n")
    start = time.perf_counter()
    subprocess.run([tpc, "compile", source, "--prune", plan, "-o", out], check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    stats = json.loads(subprocess.run([tpc, "stats", out, "--convention", "torch-pruning", "--json"], check=True, capture_output=True).stdout)
    tensors = {t.name: numpy_helper.to_array(t) for t in onnx.load(out).graph.initializer}
    return tensors, dict(macs=stats["macs"], params=stats["params"]), seconds


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("models", nargs="*", default=MODELS)
    args.add_argument("--tpc", default="target/release/tpc")
    args.add_argument("--json")
    args = args.parse_args()
    tpc, failed, results = os.path.abspath(args.tpc), 0, []
    for name in args.models:
        model, x = network(name), torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
        with tempfile.TemporaryDirectory() as folder:
            source = os.path.join(folder, "model.onnx")
            export(model, x, source)
            for label, setting in SETTINGS.items():
                if "round_to" in setting and is_grouped(model):
                    continue
                theirs, their_count, their_seconds = by_torch_pruning(model, x, setting)
                ours, our_count, our_seconds = by_tpc(tpc, source, folder, setting)
                wrong = [key for key, value in theirs.items() if value.is_floating_point() and key in ours and not np.array_equal(value.numpy(), ours[key])]
                compared = sum(key in ours for key in theirs)
                counts = our_count == their_count
                ok = not wrong and compared > 0 and counts
                failed += not ok
                results.append(dict(model=name, setting=label, ok=ok, torch_pruning_s=round(their_seconds, 2), tpc_s=round(our_seconds, 2)))
                note = "" if ok else f"  {len(wrong)} tensors differ: {wrong[:3]}" if wrong else f"  counts differ: {our_count}, Torch-Pruning {their_count}"
                print(f"{'ok  ' if ok else 'FAIL'} {name:16} {label:24} {compared:4} tensors  tpc {our_seconds:6.2f} s verified, Torch-Pruning {their_seconds:6.2f} s{note}", flush=True)
    if args.json:
        with open(args.json, "w") as file:
            json.dump(results, file, indent=1)
    print(f"{len(results) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
