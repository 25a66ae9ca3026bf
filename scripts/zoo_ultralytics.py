"""Export networks of Ultralytics to ONNX, as its users do, with every parameter random.

    python zoo_ultralytics.py --list
    python zoo_ultralytics.py ultralytics/NAME ... --out DIR

NAME is one of the list, or any other configuration of the package (`yolov8s`, `yolo11n-seg`), with options behind plus signs (`yolo11n+dynamic`, `yolov8n+nms+opset13`):
`dynamic` has run-time batch, height and width; `nms` has non-maximum suppression in the graph; `end2end` has the heads that need none; `half` is in half precision;
`int8` is quantized by ONNX Runtime; `raw` is not simplified by onnxslim; `opsetN` is in that operator set. Needs: ultralytics, onnxslim, opencv-python-headless, onnxruntime.
"""
import os, shutil, sys, tempfile

import zoo_main

os.environ.update(YOLO_AUTOINSTALL="false", YOLO_OFFLINE="true", YOLO_VERBOSE="false")

NAMES = """yolov3-tiny yolov5n yolov6n yolov8n yolov8n-seg yolov8n-pose yolov8n-obb yolov8n-cls yolov8n-p2 yolov8n-ghost yolov8n-worldv2 yolov9t yolov9c-seg yolov10n
yolo11n yolo11n-seg yolo11n-pose yolo11n-obb yolo11n-cls yolo12n yolo12n-seg yolo26n yolo26n-seg yolo26n-pose yolo26n-obb yolo26n-cls yolo26n-sem yolo26n-depth rtdetr-l
yolov5n+dynamic yolov8n+dynamic yolov8n-seg+dynamic yolov10n+dynamic yolo11n+dynamic yolo11n-pose+dynamic yolo12n+dynamic yolo26n+dynamic rtdetr-l+dynamic
yolov8n+nms yolo11n+nms yolo11n-seg+nms yolo11n-pose+nms yolo11n-obb+nms yolo11n+nms+dynamic yolov10n+end2end yolo26n+end2end yolo26n-seg+end2end yolo26n+end2end+dynamic
yolov8n+half yolo11n+half yolo11n+int8 yolov8n+raw yolo11n+raw yolo12n+raw yolo11n+dynamic+raw yolov8n+opset12 yolo11n+opset20""".split()
EXPORTERS = ("ultralytics",)
OPTIONS = {"dynamic": dict(dynamic=True), "nms": dict(nms=True), "end2end": dict(nms=False), "half": dict(quantize=16), "int8": {}, "raw": dict(simplify=False)}
SIDE = 320


def stem(name):
    """What a model is called in files and tables."""
    return name.split("/")[-1]


def sources():
    """All names of the list."""
    return [f"ultralytics/{name}" for name in NAMES]


def fits(name, exporter):
    """Whether an exporter is for a model."""
    return exporter in EXPORTERS


def export(name, _, path):
    """Writes the model of a name."""
    import torch
    from ultralytics import RTDETR, YOLO
    from zoo import randomise

    config, *options = stem(name).split("+")
    torch.manual_seed(0)
    model = (RTDETR if config.startswith("rtdetr") else YOLO)(f"{config}.yaml")
    settle(randomise(model.model.eval()))
    settings = dict(format="onnx", imgsz=224 if config.endswith("-cls") else SIDE, device="cpu")
    for option in options:
        settings.update(dict(opset=int(option[5:])) if option.startswith("opset") else OPTIONS[option])
    here, path = os.getcwd(), os.path.abspath(path)
    with tempfile.TemporaryDirectory() as folder:
        # The package writes beside its configuration's name, where it is run.
        os.chdir(folder)
        try:
            written = model.export(**settings)
            shutil.move(quantized(written) if "int8" in options else written, path)
        finally:
            os.chdir(here)


def settle(network):
    """Sets the statistics of batch norms to those of random images: by others, what such deep networks give does not depend on the image."""
    import torch

    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train().momentum = 1.0
    with torch.no_grad():
        network(torch.rand((2, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(1)))
    for norm, momentum in zip(norms, before):
        norm.eval().momentum = momentum


def quantized(path):
    """The file with convolutions in eight bits, by what random images give."""
    import numpy as np
    from onnxruntime import quantization

    class Images(quantization.CalibrationDataReader):
        left = 4

        def get_next(self):
            self.left -= 1
            return {"images": np.random.default_rng(self.left).random((1, 3, SIDE, SIDE), np.float32)} if self.left >= 0 else None

    out = path + ".int8"
    quantization.quantize_static(path, out, Images(), op_types_to_quantize=["Conv"])
    return out


if __name__ == "__main__":
    zoo_main.main(sys.modules[__name__])
