"""Prune one model of `zoo.py` by half with Torch-Pruning, and run what comes out.

    python prune_by_torch.py NAME

Prints a line of JSON: seconds of one processor to build its graph, and to build and prune, and the share of params left; fails with its message where it does, or
after 120 such seconds. Heads stay, and their dims
are pruned, as Torch-Pruning's examples do for timm and torchvision. Needs: what `zoo.py` needs, torch-pruning.
"""
import json, resource, sys, time, warnings

import torch
import torch_pruning

import zoo

warnings.filterwarnings("ignore")
LIMIT = 120


def recipe(model, inputs):
    """What Torch-Pruning is told of a model: the layers that make the output, and heads."""
    layers = [m for m in model.modules() if isinstance(m, (torch.nn.Linear, torch.nn.Conv2d, torch.nn.Conv3d))]
    extra, heads = {}, {}
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = False
        for name in ("qkv", "q_proj", "k_proj", "v_proj", "query", "key", "value"):
            layer, count = getattr(module, name, None), getattr(module, "num_heads", None) or getattr(module, "num_attention_heads", None)
            if isinstance(layer, torch.nn.Linear) and isinstance(count, int):
                heads[layer] = count
    if heads:
        extra["num_heads"] = heads
    counts = [m.num_heads for m in model.modules() if isinstance(m, torch.nn.MultiheadAttention)]
    if counts:
        extra["round_to"] = counts[0]
    return dict(ignored_layers=layers[-1:], **extra)


def resized(model):
    """Attention modules keep the width of a head as a number of their own, and torchvision's ViT that of its tokens."""
    if hasattr(model, "conv_proj") and hasattr(model, "hidden_dim"):
        model.hidden_dim = model.conv_proj.out_channels
    for module in model.modules():
        layer, count = getattr(module, "qkv", None), getattr(module, "num_heads", None)
        if isinstance(layer, torch.nn.Linear) and isinstance(count, int) and hasattr(module, "head_dim"):
            module.head_dim = layer.out_features // (3 * count)
            if hasattr(module, "attn_dim"):
                module.attn_dim = module.head_dim * count
        layer, count = getattr(module, "query", None), getattr(module, "num_attention_heads", None)
        if isinstance(layer, torch.nn.Linear) and isinstance(count, int):
            module.attention_head_size = layer.out_features // count
            module.all_head_size = layer.out_features


def main():
    torch.set_num_threads(1)
    model, inputs = zoo.build(sys.argv[1])
    before = sum(p.numel() for p in model.parameters())
    start = time.process_time()
    resource.setrlimit(resource.RLIMIT_CPU, (int(start) + LIMIT, int(start) + LIMIT + 5))
    pruner = torch_pruning.pruner.MagnitudePruner(
        model, inputs if len(inputs) > 1 else inputs[0], importance=torch_pruning.importance.MagnitudeImportance(p=2), pruning_ratio=0.5, **recipe(model, inputs))
    built = time.process_time() - start
    pruner.step()
    seconds = time.process_time() - start
    resized(model)
    with torch.no_grad():
        model(*inputs)
    left = sum(p.numel() for p in model.parameters()) / before
    if left == 1:
        sys.exit("nothing was pruned")
    print(json.dumps(dict(build=round(built, 2), prune=round(seconds, 2), left=round(left, 3))))


if __name__ == "__main__":
    try:
        main()
    except Exception as problem:
        sys.exit(f"{type(problem).__name__}: {' '.join(str(problem).split())[:250]}")
