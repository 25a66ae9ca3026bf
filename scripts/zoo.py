"""Export models of torchvision, timm and transformers to ONNX, with every parameter random.

    python zoo.py --list
    python zoo.py NAME[.EXPORTER] ... --out DIR

NAME is one of the list, `torchvision/NAME` or `timm/NAME` for any other model of these, or `hf/KIND` for a small transformer; `dyn/NAME` has a run-time batch, and a
run-time sequence where it takes tokens. EXPORTER is `bn` (the TorchScript exporter, batch norm kept, constants not folded), `dynamo` (the `torch.export` exporter, optimised) or `raw`
(the same, not optimised); without one all that fit are made.

What a default initialisation leaves constant (scales and biases of norms, running statistics, layer scales, relative positions) is drawn at random, so
that every parameter matters and no two channels are alike. Networks of Keras, PaddlePaddle and Ultralytics: `zoo_keras.py`, `zoo_paddle.py`, `zoo_ultralytics.py`. Needs: torch, torchvision, timm, transformers, onnx, onnxscript.
"""
import sys, warnings

import torch

import zoo_main

warnings.filterwarnings("ignore")

TORCHVISION = """alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3 maxvit_t mnasnet1_0 mobilenet_v2 mobilenet_v3_large
mobilenet_v3_small regnet_x_400mf regnet_y_400mf resnet18 resnet34 resnet50 resnext50_32x4d shufflenet_v2_x1_0 squeezenet1_1 swin_t swin_v2_t vgg11 vgg19_bn
vit_b_16 wide_resnet50_2 fcn_resnet50 deeplabv3_mobilenet_v3_large lraspp_mobilenet_v3_large r2plus1d_18 mc3_18""".split()
TIMM = """beit_base_patch16_224 cait_xxs24_224 coat_lite_tiny coatnet_0_rw_224 convmixer_768_32 convnextv2_atto crossvit_tiny_240 cspresnet50 deit_tiny_patch16_224 dla34
dpn68 eca_resnet33ts edgenext_xx_small efficientformer_l1 efficientvit_b0 ese_vovnet19b_dw fastvit_t8 fbnetv3_b gcvit_xxtiny gernet_s ghostnet_100 gmlp_s16_224 hardcorenas_a
hrnet_w18_small levit_128s mixer_s32_224 mobilenetv4_conv_small mobileone_s0 mobilevit_s mobilevitv2_050 mvitv2_tiny nf_resnet50 pit_ti_224 poolformer_s12 pvt_v2_b0 regnety_002
repvgg_a0 res2net50_26w_4s resmlp_12_224 resnest14d rexnet_100 selecsls42b seresnet50 sknet18 skresnet18 tinynet_a tiny_vit_5m_224 tnt_s_legacy_patch16_224 twins_pcpvt_small
vit_tiny_patch16_224 volo_d1_224 visformer_tiny xception41 xcit_nano_12_p16_224""".split()
TIMM.remove("sknet18")
# Kinds of transformers, each with the settings that make it small.
SMALL = dict(hidden_size=128, num_hidden_layers=2, num_attention_heads=4, intermediate_size=512, vocab_size=512)
TRANSFORMERS = {
    "albert": dict(SMALL, embedding_size=64, num_hidden_groups=1), "bart": dict(d_model=128, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=256, decoder_ffn_dim=256, vocab_size=512),
    "bert": SMALL, "distilbert": dict(dim=128, n_layers=2, n_heads=4, hidden_dim=512, vocab_size=512), "electra": dict(SMALL, embedding_size=64), "gemma": dict(SMALL, num_key_value_heads=2, head_dim=32),
    "gpt2": dict(n_embd=128, n_layer=2, n_head=4, vocab_size=512), "gpt_neox": SMALL, "llama": dict(SMALL, num_key_value_heads=2), "mistral": dict(SMALL, num_key_value_heads=2),
    "mpnet": SMALL, "opt": dict(hidden_size=128, num_hidden_layers=2, num_attention_heads=4, ffn_dim=512, vocab_size=512, word_embed_proj_dim=128), "phi3": dict(SMALL, num_key_value_heads=2, pad_token_id=0),
    "qwen2": dict(SMALL, num_key_value_heads=2), "qwen3": dict(SMALL, num_key_value_heads=2, head_dim=32), "roberta": SMALL,
    "segformer": dict(depths=[1, 1, 1, 1], hidden_sizes=[16, 32, 64, 96], decoder_hidden_size=64), "vit": dict(hidden_size=128, num_hidden_layers=2, num_attention_heads=4, intermediate_size=512, image_size=64),
    "dinov2": dict(hidden_size=128, num_hidden_layers=2, num_attention_heads=4, image_size=56), "t5": dict(d_model=128, d_kv=32, d_ff=256, num_layers=2, num_heads=4, vocab_size=512),
    "whisper": dict(d_model=128, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=256, decoder_ffn_dim=256, vocab_size=512, max_source_positions=100, max_target_positions=64, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, suppress_tokens=[]),
}
# Those that are made with run-time batch and sequence, too.
RUNTIME = """albert bart bert distilbert electra gpt2 llama mistral mpnet opt phi3 qwen3 roberta t5 vit coatnet_0_rw_224 convnext_tiny efficientnet_b0 gcvit_xxtiny levit_128s maxvit_t
mobilenet_v2 mobilevit_s poolformer_s12 pvt_v2_b0 resnet18 shufflenet_v2_x1_0 swin_t vit_b_16 vit_tiny_patch16_224 xcit_nano_12_p16_224""".split()
IMAGES = ("segformer", "vit", "dinov2")
VIDEO = ("r2plus1d_18", "mc3_18")
EXPORTERS = ("bn", "dynamo", "raw")


def randomise(model, seed=0):
    """Draws again what is constant: every tensor of one axis, and others whose elements are all the same."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if not value.is_floating_point():
                continue
            flat = value.numel() > 1 and bool((value == value.flatten()[0]).all())
            if "running_var" in key or (value.dim() == 1 and key.endswith(("weight", "gamma", "scale")) and flat):
                value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
            elif value.dim() <= 1 or flat:
                value.copy_(torch.randn(value.shape, generator=generator) * 0.1)
            elif not torch.isfinite(value).all():
                value.copy_(torch.nan_to_num(value, neginf=-1e4, posinf=1e4))
    return model


class Tensors(torch.nn.Module):
    """A transformer that takes tensors by place and gives its first result alone."""

    def __init__(self, model, names):
        super().__init__()
        self.m, self.names = model, names

    def forward(self, *tensors):
        return self.m(**dict(zip(self.names, tensors)), **self.extra()).to_tuple()[0]

    def extra(self):
        return {} if not hasattr(self.m.config, "use_cache") else dict(use_cache=False)


def plain(name):
    return name.split("/")[-1]


def stem(name):
    """What a model is called in files and tables."""
    where, kind = name.split("/")
    return {"hf": f"hf_{kind}", "dyn": f"hfdyn_{kind}" if kind in TRANSFORMERS else f"dyn_{kind}"}.get(where, kind)


def full(name):
    """A name of the list with its source."""
    return name if "/" in name else next((s for s in sources() if plain(s) == name), f"timm/{name}")


def sources():
    """All names of the list."""
    return [f"torchvision/{n}" for n in TORCHVISION] + [f"timm/{n}" for n in TIMM] + [f"hf/{n}" for n in TRANSFORMERS] + [f"dyn/{n}" for n in RUNTIME]


def fits(name, exporter):
    """Whether an exporter is for a model."""
    return exporter in EXPORTERS and not (name.startswith("hf/") and exporter == "bn")


def build(name):
    """A model by its name, and inputs for it."""
    torch.manual_seed(0)
    where, kind = full(name).split("/")
    if where == "dyn":
        where, kind = ("hf", kind) if kind in TRANSFORMERS else full(kind).split("/")
    generator = torch.Generator().manual_seed(1)
    if where == "hf":
        return transformer(kind, generator)
    if where == "torchvision":
        import torchvision
        extra = dict(init_weights=False) if kind in ("googlenet", "inception_v3") else dict(weights_backbone=None) if "_resnet" in kind and "fcn" in kind or "v3_large" in kind and "mobilenet_v3_large" != kind else {}
        get = torchvision.models.get_model
        model = get(kind, weights=None, **extra)
        if hasattr(model, "aux_logits"):
            model.aux_logits, model.AuxLogits, model.aux1, model.aux2 = False, None, None, None
        size = (1, 3, 4, 56, 56) if kind in VIDEO else (1, 3, 299, 299) if kind == "inception_v3" else (1, 3, 224, 224)
    else:
        import timm
        model = timm.create_model(kind, pretrained=False)
        size = (1, *model.default_cfg["input_size"])
    return randomise(model.eval()), (torch.randn(size, generator=generator),)


def transformer(kind, generator):
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForImageClassification
    config = AutoConfig.for_model(kind, **TRANSFORMERS[kind])
    config._attn_implementation = "eager"
    if kind in IMAGES:
        model = AutoModelForImageClassification.from_config(config)
        x = torch.randn(1, 3, *[64 if kind != "dinov2" else 56] * 2, generator=generator)
        return Tensors(randomise(model.eval()), ["pixel_values"]), (x,)
    ids = torch.randint(3, 500, (1, 16), generator=generator)
    if kind == "whisper":
        x = torch.randn(1, 80, 200, generator=generator)
        return Tensors(randomise(AutoModel.from_config(config).eval()), ["input_features", "decoder_input_ids"]), (x, ids)
    if kind in ("t5", "bart"):
        return Tensors(randomise(AutoModel.from_config(config).eval()), ["input_ids", "decoder_input_ids"]), (ids, ids.clone())
    causal = kind in ("gemma", "gpt2", "gpt_neox", "llama", "mistral", "opt", "phi3", "qwen2", "qwen3")
    make = AutoModelForCausalLM if causal else AutoModel
    extra = dict(add_pooling_layer=False) if kind in ("albert", "bert", "mpnet", "roberta") else {}
    return Tensors(randomise(make.from_config(config, **extra).eval()), ["input_ids"]), (ids,)


def export(name, exporter, path):
    """Writes a model; images are of one size, `dyn/` has run-time batch and sequence."""
    model, inputs = build(name)
    names = [f"input{k}" if k else "input" for k in range(len(inputs))]
    axes = [{0: "batch", 1: "seq" if k == 0 else "target"} if x.dim() == 2 else {0: "batch"} for k, x in enumerate(inputs)] if name.startswith("dyn/") else None
    if exporter == "bn":
        runtime = axes and dict(zip(names, axes), output={0: "batch"})
        torch.onnx.export(model, inputs, path, dynamo=False, opset_version=17, do_constant_folding=False, dynamic_axes=runtime,
                          training=torch.onnx.TrainingMode.PRESERVE, input_names=names, output_names=["output"])
        return
    shapes = None
    if axes:
        dims = {n: torch.export.Dim(n, min=2, max=64) for n in ("batch", "seq", "target")}
        inputs = tuple(x.repeat(2, *[1] * (x.dim() - 1)) for x in inputs)
        shapes = tuple({axis: dims[n] for axis, n in each.items()} for each in axes)
        shapes = (shapes,) if name[4:] in TRANSFORMERS else shapes
    torch.onnx.export(model, inputs, path, dynamo=True, optimize=exporter == "dynamo", dynamic_shapes=shapes, external_data=False,
                      input_names=names, output_names=["output"], verbose=False)


if __name__ == "__main__":
    zoo_main.main(sys.modules[__name__], full=full)
