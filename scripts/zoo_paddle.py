"""Export networks of PaddlePaddle to ONNX by `paddle.onnx.export`, with every parameter random.

    python zoo_paddle.py --list
    python zoo_paddle.py paddle/NAME[.EXPORTER] ... --out DIR

NAME is one of the list, or any other of `paddle.vision.models`. EXPORTER is `paddle` (run-time batch, and run-time length where it takes tokens; opset 13) or `fixed` (all
extents known; opset 17); without one both are made. Needs: paddlepaddle, paddle2onnx, packaging, onnx.
"""
import sys, warnings

import zoo_main

warnings.filterwarnings("ignore")

VISION = """alexnet densenet121 googlenet inception_v3 lenet mobilenet_v1 mobilenet_v2 mobilenet_v3_large mobilenet_v3_small resnet18 resnet50 resnext50_32x4d shufflenet_v2_swish
shufflenet_v2_x1_0 squeezenet1_1 vgg11""".split()
EXPORTERS = ("paddle", "fixed")
IMAGE, LINE, TOKENS, SERIES = (3, 64, 64), (3, 32, 96), (16,), (6, 40)


def unet(paddle, nn):
    block = lambda i, o: nn.Sequential(nn.Conv2D(i, o, 3, padding=1, bias_attr=False), nn.BatchNorm2D(o), nn.ReLU())

    class Unet(nn.Layer):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c, self.d, self.e = block(3, 16), block(16, 24), block(24, 32), block(48, 24), block(40, 16)
            self.up, self.end = nn.Conv2DTranspose(32, 24, 2, stride=2), nn.Conv2D(16, 2, 1)

        def forward(self, x):
            a = self.a(x)
            b = self.b(nn.functional.max_pool2d(a, 2))
            c = self.c(nn.functional.avg_pool2d(b, 2))
            x = self.d(paddle.concat([self.up(c), b], axis=1))
            x = nn.functional.interpolate(x, size=a.shape[2:], mode="bilinear", align_corners=False)
            return self.end(self.e(paddle.concat([x, a], axis=1)))
    return Unet()


def norms(paddle, nn):
    return nn.Sequential(nn.Conv2D(3, 32, 3, stride=2), nn.Swish(), nn.Conv2D(32, 48, 3, groups=4), nn.InstanceNorm2D(48), nn.PReLU(48), nn.Conv2D(48, 64, 3, stride=2),
                         nn.BatchNorm2D(64), nn.Hardswish(), nn.PixelShuffle(2), nn.Conv2D(16, 24, 3), nn.GELU(), nn.AdaptiveAvgPool2D(2), nn.Flatten(), nn.Linear(96, 10))


def squeeze_excite(paddle, nn):
    class Excite(nn.Layer):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Conv2D(3, 32, 3, stride=2), nn.Conv2D(32, 24, 3)
            self.down, self.up, self.depthwise = nn.Conv2D(32, 8, 1), nn.Conv2D(8, 32, 1), nn.Conv2D(24, 48, 3, groups=24)
            self.end = nn.Linear(48, 10)

        def forward(self, x):
            x = nn.functional.relu6(self.first(x))
            gate = self.up(nn.functional.relu(self.down(nn.functional.adaptive_avg_pool2d(x, 1))))
            x = self.last(x * nn.functional.hardsigmoid(gate))
            x = x.reshape([-1, 4, 6, *x.shape[2:]]).transpose([0, 2, 1, 3, 4]).reshape([-1, *x.shape[1:]])
            left, right = paddle.split(x, 2, axis=1)
            x = self.depthwise(paddle.concat([right, paddle.tanh(left)], axis=1))
            return self.end(paddle.mean(x, axis=[2, 3]))
    return Excite()


def recurrent(paddle, nn, kind, **how):
    class Recurrent(nn.Layer):
        def __init__(self):
            super().__init__()
            self.table, self.cells = nn.Embedding(200, 32), getattr(nn, kind)(32, 48, num_layers=2, **how)
            self.end = nn.Linear(96 if how else 48, 5)

        def forward(self, x):
            x, _ = self.cells(self.table(x))
            return self.end(nn.functional.relu(x))
    return Recurrent()


def lstm(paddle, nn):
    return recurrent(paddle, nn, "LSTM", direction="bidirect")


def gru(paddle, nn):
    return recurrent(paddle, nn, "GRU")


def crnn(paddle, nn):
    """A reader of lines of text, as PaddleOCR has them."""
    class Reader(nn.Layer):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2D(3, 16, 3, stride=2, padding=1), nn.BatchNorm2D(16), nn.Hardswish(), nn.Conv2D(16, 16, 3, padding=1, groups=16), nn.BatchNorm2D(16), nn.Hardswish(),
                                      nn.Conv2D(16, 48, 1), nn.MaxPool2D((16, 1)))
            self.cells, self.end = nn.LSTM(48, 32, direction="bidirect", num_layers=2), nn.Linear(64, 37)

        def forward(self, x):
            x = self.stem(x).squeeze(axis=2).transpose([0, 2, 1])
            return nn.functional.softmax(self.end(self.cells(x)[0]), axis=2)
    return Reader()


def transformer(paddle, nn):
    class Encoder(nn.Layer):
        def __init__(self):
            super().__init__()
            self.table, self.places = nn.Embedding(200, 64), nn.Embedding(128, 64)
            self.layers = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 128, activation="gelu", dropout=0.0), 2)
            self.end = nn.Linear(64, 5)

        def forward(self, x):
            places = paddle.cumsum(paddle.ones_like(x), axis=1) - 1
            return self.end(paddle.mean(self.layers(self.table(x) + self.places(places)), axis=1))
    return Encoder()


def decoder(paddle, nn):
    class Decoder(nn.Layer):
        def __init__(self):
            super().__init__()
            self.table, self.norm, self.end = nn.Embedding(200, 64), nn.LayerNorm(64), nn.Linear(64, 64)
            self.qkv, self.gate, self.up, self.down = nn.Linear(64, 192), nn.Linear(64, 128), nn.Linear(64, 128), nn.Linear(128, 64)

        def forward(self, x):
            x = self.table(x)
            length = x.shape[1]
            q, k, v = self.qkv(self.norm(x)).reshape([0, 0, 3, 4, 16]).transpose([2, 0, 3, 1, 4]).unbind(0)
            far = paddle.triu(paddle.full([length, length], -1e4), diagonal=1)
            weights = nn.functional.softmax(paddle.matmul(q, k, transpose_y=True) * 0.25 + far, axis=-1)
            x = x + self.end(paddle.matmul(weights, v).transpose([0, 2, 1, 3]).reshape([0, 0, 64]))
            x = x + self.down(nn.functional.silu(self.gate(x)) * self.up(x))
            return paddle.matmul(x, self.table.weight, transpose_y=True)
    return Decoder()


def windows(paddle, nn):
    """Attention within windows that are shifted, as Swin has it."""
    class Windows(nn.Layer):
        def __init__(self):
            super().__init__()
            self.patches, self.norm = nn.Conv2D(3, 48, 4, stride=4), nn.LayerNorm(48)
            self.attention, self.merge, self.end = nn.MultiHeadAttention(48, 4), nn.Linear(192, 96, bias_attr=False), nn.Linear(96, 10)

        def forward(self, x):
            x = self.norm(self.patches(x).transpose([0, 2, 3, 1]))
            y = paddle.roll(x, [-2, -2], axis=[1, 2]).reshape([-1, 4, 4, 4, 4, 48]).transpose([0, 1, 3, 2, 4, 5]).reshape([-1, 16, 48])
            y = self.attention(y).reshape([-1, 4, 4, 4, 4, 48]).transpose([0, 1, 3, 2, 4, 5]).reshape([-1, 16, 16, 48])
            x = x + paddle.roll(y, [2, 2], axis=[1, 2])
            x = paddle.concat([x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]], axis=-1)
            return self.end(self.merge(x).flatten(1, 2).mean(1))
    return Windows()


def conv1d(paddle, nn):
    return nn.Sequential(nn.Conv1D(6, 32, 5, stride=2), nn.BatchNorm1D(32), nn.LeakyReLU(), nn.MaxPool1D(2), nn.Conv1D(32, 48, 3, dilation=2, padding=2), nn.ELU(), nn.Conv1DTranspose(48, 24, 4, stride=2),
                         nn.AdaptiveMaxPool1D(1), nn.Flatten(), nn.Linear(24, 5))


NETS = {net.__name__: (net, shape) for net, shape in [(unet, IMAGE), (norms, IMAGE), (squeeze_excite, IMAGE), (lstm, TOKENS), (gru, TOKENS), (crnn, LINE), (transformer, TOKENS),
                                                      (decoder, TOKENS), (windows, IMAGE), (conv1d, SERIES)]}


def randomise(model, seed=0):
    """Draws again what is constant: every tensor of one axis, and others whose elements are all the same."""
    import numpy as np
    generator = np.random.default_rng(seed)
    for name, tensor in model.state_dict().items():
        value = tensor.numpy()
        if value.dtype.kind != "f" or value.size == 0:
            continue
        flat = value.size > 1 and bool((value == value.flat[0]).all())
        if name.endswith("_variance") or (flat and value.flat[0] == 1):
            tensor.set_value(generator.uniform(0.5, 1.5, value.shape).astype(value.dtype))
        elif value.ndim <= 1 or flat:
            tensor.set_value((generator.standard_normal(value.shape) * 0.1).astype(value.dtype))
    return model


def stem(name):
    """What a model is called in files and tables."""
    return "paddle_" + name.split("/")[-1]


def sources():
    """All names of the list."""
    return [f"paddle/{n}" for n in VISION] + [f"paddle/{n}" for n in NETS]


def fits(name, exporter):
    """Whether an exporter is for a model: all are."""
    return exporter in EXPORTERS


def export(name, exporter, path):
    """Writes a model."""
    import paddle
    kind = name.split("/")[-1]
    paddle.seed(0)
    if kind in NETS:
        net, shape = NETS[kind]
        model = net(paddle, paddle.nn)
    else:
        shape = (1, 28, 28) if kind == "lenet" else (3, 299, 299) if kind == "inception_v3" else (3, 224, 224)
        find = paddle.vision.models
        model = find.LeNet() if kind == "lenet" else getattr(find, kind)()
    model = randomise(model)
    model.eval()
    if kind == "googlenet":
        model = First(paddle, model)
    open_axes = exporter == "paddle"
    shape = ([None] if open_axes else [1]) + ([None] if open_axes and shape == TOKENS else list(shape))
    spec = paddle.static.InputSpec(shape, "int64" if len(shape) == 2 else "float32", "x")
    paddle.onnx.export(model, path.removesuffix(".onnx"), input_spec=[spec], opset_version=13 if open_axes else 17)


def First(paddle, model):
    """The first result of a model alone."""
    class Alone(paddle.nn.Layer):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x):
            return self.model(x)[0]
    alone = Alone()
    alone.eval()
    return alone


if __name__ == "__main__":
    zoo_main.main(sys.modules[__name__], said=slice(-300, None))
