"""Export more transformers, and the decoders that onnxruntime-genai builds, with every parameter random.

    python zoo_transformers.py --list
    python zoo_transformers.py NAME[.EXPORTER] ... --out DIR

NAME is `hf/KIND`, a small network of the package transformers by the `torch.export` exporter (EXPORTER `dynamo`), or `genai/KIND`, a decoder behind a cache as onnxruntime-genai's builder
writes it for processors, in f32 (`genai`) or with weights of four bits (`int4`). Needs: what `zoo.py` needs; onnxruntime-genai, onnx-ir and tokenizers for its decoders.
"""
import os, subprocess, sys, tempfile, warnings

import zoo, zoo_main

warnings.filterwarnings("ignore")

EXPORTERS = ("dynamo", "genai", "int4")
GROUPED = dict(zoo.SMALL, num_key_value_heads=2, pad_token_id=0)
BART = dict(zoo.TRANSFORMERS["bart"], pad_token_id=0, attention_type="original_full")
T5 = zoo.TRANSFORMERS["t5"]
GPT = dict(zoo.TRANSFORMERS["gpt2"], rotary_dim=16)
VIT = dict(zoo.TRANSFORMERS["vit"], patch_size=16)
STAGES = dict(hidden_sizes=[16, 32, 48, 64], depths=[1, 1, 1, 1])
SWIN = dict(image_size=64, patch_size=4, embed_dim=32, depths=[2, 2], num_heads=[2, 4], window_size=4)
SPEECH = dict(zoo.SMALL, vocab_size=64, conv_dim=[32, 32, 32], conv_stride=[5, 4, 2], conv_kernel=[10, 8, 4], num_feat_extract_layers=3, num_conv_pos_embeddings=16,
              num_conv_pos_embedding_groups=4, squeeze_factor=2)
PAIR = dict(text_config=dict(zoo.SMALL, encoder_hidden_size=128), vision_config=VIT, projection_dim=64)


def each(names, config):
    return {name: config for name in names.split()}


# What takes tokens and gives the next one.
CAUSAL = {
    **each("gemma2 gemma3_text starcoder2 olmo olmo2 granite cohere cohere2 stablelm phi persimmon nemotron glm glm4 exaone4 smollm3 arcee seed_oss ernie4_5 apertus diffllama falcon", GROUPED),
    "jetmoe": dict(GROUPED, num_local_experts=4, num_experts_per_tok=2), **each("codegen gptj gpt_bigcode", GPT), "bloom": dict(hidden_size=128, n_layer=2, n_head=4, vocab_size=512),
    "mpt": dict(d_model=128, n_heads=4, n_layers=2, vocab_size=512), "gpt_neo": dict(hidden_size=128, num_layers=2, num_heads=4, vocab_size=512, attention_types=[[["global", "local"], 1]]),
    "mamba": dict(hidden_size=64, num_hidden_layers=2, vocab_size=512, state_size=8), "mamba2": dict(hidden_size=64, num_hidden_layers=2, vocab_size=512, state_size=16, num_heads=4, head_dim=32, n_groups=1, chunk_size=8),
    "rwkv": dict(hidden_size=64, num_hidden_layers=2, vocab_size=512, attention_hidden_size=64), "recurrent_gemma": dict(GROUPED, num_hidden_layers=3, lru_width=128),
    "lfm2": dict(GROUPED, layer_types=["conv", "full_attention"]),
}
# The same with experts, which are gathered by the token.
ROUTED = dict(GROUPED, n_routed_experts=4, num_experts_per_tok=2, moe_intermediate_size=64, n_group=1, topk_group=1, first_k_dense_replace=1, n_shared_experts=1)
EXPERTS = {
    **each("mixtral granitemoe", dict(GROUPED, num_local_experts=4, num_experts_per_tok=2)), "gpt_oss": dict(GROUPED, num_local_experts=4, num_experts_per_tok=2, head_dim=32, intermediate_size=64),
    **each("olmoe qwen2_moe qwen3_moe", dict(GROUPED, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=64, shared_expert_intermediate_size=64, head_dim=32)), "glm4_moe": ROUTED,
    "deepseek_v3": dict(ROUTED, num_key_value_heads=4, q_lora_rank=32, kv_lora_rank=32, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32),
}
# What takes tokens and gives features.
ENCODERS = {
    **each("xlm-roberta camembert ernie convbert fnet nystromformer yoso roformer layoutlm ibert megatron-bert rembert splinter luke data2vec-text nomic_bert mra visual_bert", zoo.SMALL),
    "deberta": dict(zoo.SMALL, relative_attention=True, pos_att_type=["c2p", "p2c"]), "deberta-v2": dict(zoo.SMALL, relative_attention=True, pos_att_type=["c2p", "p2c"], position_buckets=16, share_att_key=True, norm_rel_ebd="layer_norm"),
    "mobilebert": dict(zoo.SMALL, embedding_size=64, true_hidden_size=64, intra_bottleneck_size=64), "xlnet": dict(d_model=128, n_layer=2, n_head=4, d_inner=256, vocab_size=512),
    **each("flaubert xlm", dict(emb_dim=128, n_layers=2, n_heads=4, vocab_size=512)), "big_bird": dict(zoo.SMALL, attention_type="original_full"), "canine": dict(zoo.SMALL, downsampling_rate=4, local_transformer_stride=8),
}
# What takes two lists of tokens.
PAIRS = {
    **each("mbart pegasus blenderbot blenderbot-small marian m2m_100 plbart bigbird_pegasus", BART), **each("mt5 umt5", T5),
    "prophetnet": dict(hidden_size=128, num_encoder_layers=2, num_decoder_layers=2, num_encoder_attention_heads=4, num_decoder_attention_heads=4, encoder_ffn_dim=256, decoder_ffn_dim=256, vocab_size=512),
}
# What takes an image and gives features, or, of those behind, classes.
IMAGES = {
    **each("deit vit_mae vit_msn dinov2_with_registers dinov3_vit ijepa vitdet", VIT), **each("beit data2vec-vision", dict(VIT, use_relative_position_bias=True)), **each("swin swinv2 donut-swin", SWIN), "textnet": {},
}
CLASSES = {
    **each("convnext convnextv2 poolformer", STAGES), **each("pvt pvt_v2", dict(STAGES, image_size=64, num_attention_heads=[1, 2, 3, 4])), **each("regnet resnet", dict(STAGES, embedding_size=16, groups_width=8)),
    "swiftformer": dict(embed_dims=[16, 32, 48, 64], depths=[1, 1, 1, 1]), "efficientnet": dict(width_coefficient=0.5, depth_coefficient=0.5, image_size=64, hidden_dim=640), "focalnet": dict(embed_dim=16, depths=[1, 1, 1, 1], image_size=64),
    "mobilenet_v1": dict(image_size=64, depth_multiplier=0.25), "mobilenet_v2": dict(image_size=64, depth_multiplier=0.35), "mobilevit": dict(image_size=64, hidden_sizes=[32, 48, 64], neck_hidden_sizes=[8, 16, 24, 32, 48, 64, 96]),
    "mobilevitv2": dict(image_size=64, width_multiplier=0.5), "bit": dict(embedding_size=16, hidden_sizes=[32, 64], depths=[1, 1], num_groups=8), "hgnet_v2": {},
}
SOUNDS = {**each("wav2vec2 hubert wavlm unispeech unispeech-sat data2vec-audio sew sew-d wav2vec2-conformer", SPEECH)}
BOTH = {"clip": PAIR, "siglip": PAIR, "blip": PAIR}
OTHERS = {
    "audio-spectrogram-transformer": dict(VIT, max_length=64, num_mel_bins=32), "videomae": dict(VIT, num_frames=2, tubelet_size=2), "timesformer": dict(VIT, num_frames=2),
    "speech_to_text": dict(BART, conv_channels=64, input_feat_per_channel=20, max_source_positions=100, max_target_positions=64),
    "moonshine": dict(hidden_size=128, encoder_num_hidden_layers=2, decoder_num_hidden_layers=2, encoder_num_attention_heads=4, decoder_num_attention_heads=4, intermediate_size=256, vocab_size=512),
    "patchtst": dict(d_model=64, num_attention_heads=4, num_hidden_layers=2, ffn_dim=128, num_input_channels=2, context_length=32, patch_length=8, patch_stride=8), "git": dict(zoo.SMALL, vision_config=VIT),
}
KINDS = {**CAUSAL, **EXPERTS, **ENCODERS, **PAIRS, **IMAGES, **CLASSES, **SOUNDS, **BOTH, **OTHERS}
# Decoders that are built behind a cache; the builder takes a layer of as many features as there are words for the last.
BUILT = dict(GROUPED, intermediate_size=256)
GENAI = {**each("llama mistral qwen2 olmo granite", BUILT), **each("qwen3 gemma2", dict(BUILT, head_dim=32))}


def sources():
    return [f"hf/{kind}" for kind in KINDS] + [f"genai/{kind}" for kind in GENAI]


def stem(name):
    return name.replace("/", "_")


def fits(name, exporter):
    return name.startswith("hf/") == (exporter == "dynamo")


def build(kind):
    """A network, and inputs for it."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForImageClassification
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    config = AutoConfig.for_model(kind, **KINDS[kind])
    for part in (config, getattr(config, "text_config", None), getattr(config, "vision_config", None)):
        if part is not None:
            part._attn_implementation = "eager"
    config.use_cache = False
    if kind in EXPERTS:
        config._experts_implementation = "batched_mm"
    make = AutoModelForCausalLM if kind in CAUSAL or kind in EXPERTS or kind == "git" else AutoModelForImageClassification if kind in CLASSES else AutoModel
    drawn = lambda *shape: torch.randn(*shape, generator=generator)
    ids = torch.randint(3, 60 if kind in SOUNDS else 500, (1, 16), generator=generator)
    tokens, image, sound = dict(input_ids=ids), dict(pixel_values=drawn(1, 3, 64, 64)), dict(input_values=drawn(1, 4000))
    target = dict(decoder_input_ids=ids.clone())
    inputs = {"audio-spectrogram-transformer": dict(input_values=drawn(1, 64, 32)), "speech_to_text": dict(input_features=drawn(1, 64, 20), **target), "moonshine": dict(sound, **target),
              "patchtst": dict(past_values=drawn(1, 32, 2)), "git": dict(tokens, **image), **each("videomae timesformer", dict(pixel_values=drawn(1, 2, 3, 64, 64)))}.get(kind)
    if inputs is None:
        inputs = {**tokens, **target} if kind in PAIRS else image if kind in IMAGES or kind in CLASSES else sound if kind in SOUNDS else {**tokens, **image} if kind in BOTH else tokens
    model = zoo.randomise(make.from_config(config).eval())
    return zoo.Tensors(model, list(inputs)), tuple(inputs.values())


def decoder(kind, precision, path):
    """Writes a decoder as onnxruntime-genai's builder makes it of a folder of transformers'."""
    import onnx, tokenizers, torch, transformers
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(kind, **dict(GENAI[kind], bos_token_id=1, eos_token_id=2, max_position_embeddings=256))
    model = zoo.randomise(transformers.AutoModelForCausalLM.from_config(config).eval())
    with tempfile.TemporaryDirectory() as tmp:
        model.save_pretrained(os.path.join(tmp, "in"))
        words = tokenizers.Tokenizer(tokenizers.models.WordLevel({f"w{i}": i for i in range(512)}, unk_token="w0"))
        transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="w0").save_pretrained(os.path.join(tmp, "in"))
        subprocess.run([sys.executable, "-W", "ignore", "-m", "onnxruntime_genai.models.builder", "-i", os.path.join(tmp, "in"), "-o", os.path.join(tmp, "out"), "-p", precision, "-e", "cpu",
                        "-c", os.path.join(tmp, "cache")], check=True, stdout=subprocess.DEVNULL)
        onnx.save(onnx.load(os.path.join(tmp, "out", "model.onnx")), path)


def export(name, exporter, path):
    import torch
    where, kind = name.split("/")
    if where == "genai":
        return decoder(kind, {"genai": "fp32", "int4": "int4"}[exporter], path)
    model, inputs = build(kind)
    names = [f"input{k}" if k else "input" for k in range(len(inputs))]
    torch.onnx.export(model, inputs, path, dynamo=True, external_data=False, input_names=names, output_names=["output"], verbose=False)


if __name__ == "__main__":
    zoo_main.main(sys.modules[__name__])
