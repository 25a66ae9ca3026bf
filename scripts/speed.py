"""Time `tpc` and Torch-Pruning on the same networks, in one run.

    python speed.py [--tpc PATH] [MODEL ...]

Per torchvision model: copying the file, `tpc compile --no-verify` and verified (wall time, and peak resident memory beside the
file's size), and Torch-Pruning's build of the dependency graph, search of all groups, and pruning step. Medians of 5 (Torch-Pruning: of
1 where it takes longer than 5 s). Needs what parity.py needs.
"""
import argparse, os, shutil, statistics, subprocess, sys, tempfile, time

import torch
import torch_pruning
from parity import classifier, export, network


def median(run, repeat=5):
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
        if times[-1] > 5:
            break
    return statistics.median(times)


def peak(command):
    """Peak resident memory of a command, in bytes."""
    script = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    return int(subprocess.run([sys.executable, "-c", script, *command], check=True, capture_output=True, text=True).stdout) * 1024


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("models", nargs="*", default=["resnet50", "densenet201", "vit_b_16"])
    args.add_argument("--tpc", default="target/release/tpc")
    args = args.parse_args()
    tpc = os.path.abspath(args.tpc)
    for name in args.models:
        model, x = network(name), torch.randn(1, 3, 224, 224)
        with tempfile.TemporaryDirectory() as folder:
            source, copy, out, plan = (os.path.join(folder, n) for n in ("model.onnx", "copy.onnx", "out.onnx", "plan.toml"))
            export(model, x, source)
            with open(plan, "w") as file:
                file.write("[target]\nratio = 0.5\n")
            command = [tpc, "compile", source, "--prune", plan, "-o", out]
            quiet = dict(check=True, stdout=subprocess.DEVNULL)
            size = os.path.getsize(source)
            copied = median(lambda: shutil.copyfile(source, copy))
            compiled = median(lambda: subprocess.run([*command, "--no-verify"], **quiet))
            verified = median(lambda: subprocess.run(command, **quiet))
            memory = peak([*command, "--no-verify"])
            print(f"{name}: {size / 1e6:.0f} MB; copy {copied * 1e3:.0f} ms; tpc compile {compiled * 1e3:.0f} ms ({compiled / copied:.1f} x), peak {memory / size:.2f} x the file; verified {verified:.2f} s", flush=True)

        def build():
            return torch_pruning.DependencyGraph().build_dependency(model, x)

        graph = build()
        build_s = median(build)
        groups_s = median(lambda: list(graph.get_all_groups()), 1)
        pruner = torch_pruning.pruner.MagnitudePruner(model, x, importance=torch_pruning.importance.MagnitudeImportance(p=2), pruning_ratio=0.5, ignored_layers=[classifier(model)])
        step_s = median(pruner.step, 1)
        print(f"    Torch-Pruning: build {build_s * 1e3:.0f} ms, groups {groups_s * 1e3:.0f} ms, step {step_s * 1e3:.0f} ms", flush=True)


if __name__ == "__main__":
    main()
