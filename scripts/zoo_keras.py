"""Export networks of Keras to ONNX, as TensorFlow's users do, with every parameter random.

    python zoo_keras.py --list
    python zoo_keras.py keras/NAME[.EXPORTER] ... --out DIR

NAME is one of the list, or any other of `keras.applications`. EXPORTER is `tf2onnx` (`tf2onnx.convert`: images NHWC, run-time batch, opset 15), `nchw` (the same with
`--inputs-as-nchw`, static batch, opset 18), `keras` (`model.export(..., format="onnx")` of Keras 3) or `tflite` (through TensorFlow Lite, weights in eight bits);
without one all that fit are made. Needs: tensorflow, tf2onnx, onnx, and tf_keras for what is written by Keras 2 (`keras2_*`).
"""
import os, sys

import zoo_main

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", KERAS_BACKEND="tensorflow", CUDA_VISIBLE_DEVICES="")

APPLICATIONS = """DenseNet121 EfficientNetB0 EfficientNetV2B0 InceptionResNetV2 InceptionV3 MobileNet MobileNetV2 MobileNetV3Small MobileNetV3Large NASNetMobile ResNet50
ResNet50V2 Xception""".split()
SIDE = dict(InceptionV3=299, InceptionResNetV2=299, Xception=299)
EXPORTERS = ("tf2onnx", "nchw", "keras", "tflite")
# Applications that are written otherwise than by `tf2onnx`, too.
OTHERS = dict(nchw=("DenseNet121", "EfficientNetB0", "MobileNetV2", "ResNet50"), keras=("EfficientNetV2B0", "MobileNetV3Small", "ResNet50V2"), tflite=("MobileNet", "MobileNetV2", "ResNet50"))


def separable(layers, inputs):
    x = layers.SeparableConv2D(24, 3, padding="same", depth_multiplier=2, activation="relu")(layers.Conv2D(16, 3, strides=2, padding="same")(inputs))
    x = layers.SeparableConv2D(32, 5, strides=2, padding="same")(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="valid", depth_multiplier=2)(layers.PReLU(shared_axes=[1, 2])(x))
    return layers.Dense(10, activation="softmax")(layers.GlobalMaxPooling2D()(x))


def unet(layers, inputs):
    block = lambda x, width: layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(width, 3, padding="same")(x)))
    a = block(inputs, 16)
    b = block(layers.MaxPooling2D()(a), 24)
    c = block(layers.AveragePooling2D(2)(b), 32)
    x = block(layers.Concatenate()([layers.Conv2DTranspose(24, 3, strides=2, padding="same")(c), b]), 24)
    x = block(layers.Concatenate()([layers.UpSampling2D(interpolation="bilinear")(x), a]), 16)
    return layers.Conv2D(3, 1, activation="sigmoid")(x)


def group_norm(layers, inputs):
    x = layers.GroupNormalization(4)(layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False)(inputs))
    x = layers.Conv2D(48, 3, strides=2, padding="same")(layers.Activation("swish")(x))
    x = layers.GroupNormalization(8)(x)
    return layers.Dense(10)(layers.Flatten()(layers.AveragePooling2D(2)(layers.LeakyReLU()(x))))


def squeeze_excite(layers, inputs):
    x = layers.Conv2D(32, 3, strides=2, padding="same")(inputs)
    gate = layers.Reshape((1, 1, 32))(layers.GlobalAveragePooling2D()(x))
    gate = layers.Conv2D(32, 1, activation="hard_sigmoid")(layers.Conv2D(8, 1, activation="relu")(gate))
    x = layers.Conv2D(24, 3, dilation_rate=2, activation="gelu")(layers.Multiply()([x, gate]))
    x = layers.Conv2D(16, 3)(layers.Cropping2D(1)(layers.ZeroPadding2D(2)(layers.LayerNormalization()(x))))
    return layers.Dense(10)(layers.Dense(32, activation="tanh")(layers.Flatten()(x)))


def conv1d(layers, inputs):
    x = layers.Conv1D(32, 5, strides=2, padding="causal", activation="relu")(inputs)
    x = layers.Conv1D(48, 3, dilation_rate=2, padding="same")(layers.MaxPooling1D()(layers.BatchNormalization()(x)))
    x = layers.SeparableConv1D(32, 3, padding="same", activation="elu")(x)
    x = layers.Conv1DTranspose(24, 4, strides=2)(layers.UpSampling1D()(x))
    return layers.Dense(5)(layers.GlobalAveragePooling1D()(x))


def conv3d(layers, inputs):
    x = layers.Conv3D(16, 3, padding="same", activation="relu")(inputs)
    x = layers.Conv3D(24, 3)(layers.MaxPooling3D()(layers.BatchNormalization()(x)))
    return layers.Dense(5)(layers.GlobalAveragePooling3D()(x))


def lstm(layers, inputs):
    x = layers.LSTM(48, return_sequences=True)(layers.Embedding(200, 32)(inputs))
    return layers.Dense(5)(layers.Dense(24, activation="relu")(layers.LSTM(32)(x)))


def gru(layers, inputs):
    x = layers.GRU(48, return_sequences=True)(layers.Embedding(200, 32)(inputs))
    return layers.Dense(5)(layers.GRU(32, reset_after=False)(x))


def bidirectional(layers, inputs):
    x = layers.Bidirectional(layers.LSTM(32, return_sequences=True))(layers.Embedding(200, 32)(inputs))
    x = layers.Bidirectional(layers.GRU(24, return_sequences=True))(x)
    return layers.TimeDistributed(layers.Dense(7))(layers.Dense(32, activation="relu")(x))


def simple_rnn(layers, inputs):
    return layers.Dense(5)(layers.SimpleRNN(32)(layers.Dense(24)(layers.Embedding(200, 32)(inputs))))


def conv_lstm(layers, inputs):
    x = layers.TimeDistributed(layers.Conv2D(12, 3, padding="same", activation="relu"))(inputs)
    x = layers.ConvLSTM2D(16, 3, padding="same")(x)
    return layers.Dense(5)(layers.GlobalAveragePooling2D()(layers.Conv2D(24, 3)(x)))


def crnn(layers, inputs):
    x = layers.MaxPooling2D((2, 1))(layers.Conv2D(32, 3, padding="same", activation="relu")(inputs))
    x = layers.Conv2D(48, 3, strides=(2, 1), padding="same", activation="relu")(x)
    x = layers.Permute((2, 1, 3))(x)
    x = layers.Dense(64, activation="relu")(layers.Reshape((x.shape[1], x.shape[2] * x.shape[3]))(x))
    return layers.Dense(37, activation="softmax")(layers.Bidirectional(layers.LSTM(32, return_sequences=True))(x))


def transformer_layer(layers, x, heads=4, **how):
    y = layers.MultiHeadAttention(heads, 16, **how)(x, x)
    x = layers.LayerNormalization(epsilon=1e-6)(layers.Add()([x, y]))
    y = layers.Dense(64)(layers.Dense(128, activation="gelu")(x))
    return layers.LayerNormalization(epsilon=1e-6)(layers.Add()([x, y]))


def transformer(layers, inputs):
    x = layers.Embedding(200, 64)(inputs)
    x = transformer_layer(layers, transformer_layer(layers, x), value_dim=24)
    return layers.Dense(5)(layers.GlobalAveragePooling1D()(x))


def decoder(layers, inputs):
    x = layers.Embedding(200, 64)(inputs)
    y = layers.MultiHeadAttention(4, 16)(x, x, use_causal_mask=True)
    x = layers.LayerNormalization()(layers.Add()([x, y]))
    y = layers.GroupQueryAttention(16, 4, 2)(x, x) if hasattr(layers, "GroupQueryAttention") else layers.Dense(64)(x)
    return layers.Dense(200)(layers.LayerNormalization()(layers.Add()([x, y])))


def vit(layers, inputs):
    x = layers.Conv2D(64, 8, strides=8)(inputs)
    x = layers.Reshape((x.shape[1] * x.shape[2], 64))(x)
    x = transformer_layer(layers, transformer_layer(layers, x))
    return layers.Dense(10)(layers.Flatten()(x))


def einsum_dense(layers, inputs):
    x = layers.EinsumDense("abc,cde->abde", output_shape=(None, 4, 16), bias_axes="de")(layers.Embedding(200, 32)(inputs))
    x = layers.Activation("relu")(x)
    x = layers.EinsumDense("abde,def->abf", output_shape=(None, 48), bias_axes="f")(x)
    return layers.Dense(5)(layers.GlobalMaxPooling1D()(x))


def mlp(layers, inputs):
    x = layers.Dense(64, activation="selu")(layers.BatchNormalization()(inputs))
    y = layers.Dense(64)(layers.Dropout(0.2)(layers.Dense(32, activation="relu")(x)))
    x = layers.UnitNormalization()(layers.Dense(40)(layers.Maximum()([x, y])))
    return layers.Dense(3, activation="softmax")(x)


IMAGE, SERIES, TOKENS = (32, 32, 3), (40, 6), (16,)
NETS = {net.__name__: (net, shape) for net, shape in [
    (separable, (64, 64, 3)), (unet, IMAGE), (group_norm, IMAGE), (squeeze_excite, IMAGE), (conv1d, SERIES), (conv3d, (8, 16, 16, 2)), (lstm, TOKENS), (gru, TOKENS),
    (bidirectional, TOKENS), (simple_rnn, TOKENS), (conv_lstm, (4, 16, 16, 3)), (crnn, (32, 64, 1)), (transformer, TOKENS), (decoder, TOKENS), (vit, IMAGE), (einsum_dense, TOKENS), (mlp, (12,))]}
# What Keras 2 writes otherwise.
KERAS2 = "MobileNetV2 ResNetRS50 bidirectional crnn lstm gru separable".split()


def randomise(model, seed=0):
    """Draws again what is constant: every tensor of one axis, and others whose elements are all the same."""
    import numpy as np
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        value, name = np.asarray(weight.value() if callable(weight.value) else weight.value), getattr(weight, "path", weight.name)
        if value.dtype.kind != "f" or value.size == 0:
            continue
        flat = value.size > 1 and bool((value == value.flat[0]).all())
        if "variance" in name or (flat and value.flat[0] == 1):
            weight.assign(generator.uniform(0.5, 1.5, value.shape).astype(value.dtype))
        elif value.ndim <= 1 or flat:
            weight.assign((generator.standard_normal(value.shape) * 0.1).astype(value.dtype))
    return model


def plain_gelu(tf):
    """Has GELU written by `Erf`, as TensorFlow did before it had `Erfc`, for which ONNX and its exporter have no operator."""
    def gelu(features, approximate=False, name=None):
        if approximate:
            return 0.5 * features * (1 + tf.tanh(0.7978845608028654 * (features + 0.044715 * features * features * features)))
        return 0.5 * features * (1 + tf.math.erf(features / 1.4142135623730951))
    tf.nn.gelu = gelu


def stem(name):
    """What a model is called in files and tables."""
    return "keras_" + name.split("/")[-1]


def sources():
    """All names of the list."""
    return [f"keras/{n}" for n in APPLICATIONS] + [f"keras/{n}" for n in NETS] + [f"keras/keras2_{n}" for n in KERAS2]


def build(name):
    """A model by its name."""
    kind = name.split("/")[-1]
    if kind.startswith("keras2_"):
        kind = kind.removeprefix("keras2_")
        import tf_keras as keras
    else:
        import keras
    keras.utils.set_random_seed(0)
    if kind in NETS:
        net, shape = NETS[kind]
        # A sequence is of any length.
        inputs = keras.layers.Input((None,) if shape == TOKENS else shape, dtype="int32" if shape == TOKENS else "float32", name="input")
        return randomise(keras.Model(inputs, net(keras.layers, inputs)))
    side = SIDE.get(kind, 224)
    return randomise(getattr(keras.applications, kind)(weights=None, input_shape=(side, side, 3)))


def signature(model, batch):
    import tensorflow as tf
    return [tf.TensorSpec([batch, *i.shape[1:]], i.dtype, name=f"input{k}" if k else "input") for k, i in enumerate(model.inputs)]


def function(model, batch):
    """The model as a function of TensorFlow, for inference."""
    import tensorflow as tf
    return tf.function(lambda *inputs: model(inputs[0] if len(inputs) == 1 else list(inputs), training=False), input_signature=signature(model, batch))


def export(name, exporter, path):
    """Writes a model."""
    import tensorflow as tf
    import tf2onnx
    plain_gelu(tf)
    model = build(name)
    if exporter == "keras":
        model(tf.zeros([1, *(n or 16 for n in model.inputs[0].shape[1:])], model.inputs[0].dtype))
        model.export(path, format="onnx", verbose=False)
    elif exporter == "tflite":
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if len(model.inputs[0].shape) == 4:
            import numpy as np
            generator = np.random.default_rng(2)
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([generator.standard_normal([1, *model.inputs[0].shape[1:]]).astype("float32")] for _ in range(4))
        tf2onnx.convert._convert_common(None, tflite_path=written(converter.convert(), path), name=stem(name), opset=15, output_path=path)
        os.remove(path + ".tflite")
    else:
        nchw = ["input"] if exporter == "nchw" and len(model.inputs[0].shape) == 4 else None
        batch, opset = (1, 18) if exporter == "nchw" else (None, 15)
        tf2onnx.convert.from_function(function(model, batch), signature(model, batch), opset=opset, inputs_as_nchw=nchw, output_path=path)


def written(content, path):
    with open(path + ".tflite", "wb") as file:
        file.write(content)
    return path + ".tflite"


def fits(name, exporter):
    """Whether an exporter is for a model."""
    kind = name.split("/")[-1]
    net = kind.removeprefix("keras2_")
    if exporter == "tf2onnx" or kind in APPLICATIONS:
        return exporter == "tf2onnx" or kind in OTHERS[exporter]
    if exporter == "nchw":
        return net not in NETS or len(NETS[net][1]) == 3
    # TensorFlow Lite has no pools over space and time, the loops and slices of these need more than its own operators, and its GELU is none of tf2onnx's.
    beyond = ("conv3d", "lstm", "gru", "bidirectional", "simple_rnn", "conv_lstm", "crnn", "decoder", "squeeze_excite", "transformer", "vit")
    return not (kind.startswith("keras2_") or exporter == "tflite" and kind in beyond)


if __name__ == "__main__":
    zoo_main.main(sys.modules[__name__])
