"""Prune a decoder that is larger than memory, and say what it took: time, peak resident memory, bytes read and written.

    python large.py FOLDER [--tpc PATH] [--program TEXT.tir] [--filled N] [--budget MACS] [--keep]

Into FOLDER goes `big.tir` (what `cargo run --release --example large -- decoder` writes, or TEXT.tir), and beside it 13 GB of bf16 weights in
shards of safetensors with their index. Random numbers fill what belongs to no layer and to the first N layers (default: all); the other layers are holes in the
files, which read as zeros and take no room on disk. Then `tpc compile` takes half of every width. FOLDER's files are removed afterwards. Needs numpy.
"""
import argparse, json, os, re, resource, shutil, subprocess, sys, time

import numpy

SIZES = {"bf16": 2, "f16": 2, "f32": 4}
SHARD = 5 << 30
# No multiple of a row's length, so that no two rows are alike.
BLOCK = 4_000_037


def params(text):
    """Name, element type and shape of every param."""
    for name, dtype, shape in re.findall(r"^param @(\S+)\s*: (\w+)\[([\d, ]*)\]", text, re.M):
        yield name, dtype, [int(n) for n in shape.split(",") if n.strip()]


def filling(random, shape):
    """Bytes that are repeated to fill a tensor: a normal distribution of a weight's variance in bf16, or scales near 1."""
    if len(shape) == 1:
        values = 0.5 + random.random(BLOCK, dtype=numpy.float32)
    else:
        values = random.standard_normal(BLOCK, dtype=numpy.float32) * numpy.float32((2 / max(shape)) ** 0.5)
    return (values.view(numpy.uint32) >> 16).astype(numpy.uint16).tobytes()


def shards(folder, text, filled):
    """Writes the weights; gives the bytes of all shards."""
    groups, size = [[]], 0
    for name, dtype, shape in params(text):
        n = SIZES[dtype] * int(numpy.prod(shape))
        if size + n > SHARD:
            groups.append([])
            size = 0
        groups[-1].append((name, dtype, shape, n))
        size += n
    random, blocks, where, total = numpy.random.default_rng(0), {}, {}, 0
    for i, group in enumerate(groups):
        file_name = f"model-{i + 1:05}-of-{len(groups):05}.safetensors"
        header, at = {}, 0
        for name, dtype, shape, n in group:
            header[name] = {"dtype": dtype.upper(), "shape": shape, "data_offsets": [at, at + n]}
            where[name] = file_name
            at += n
        head = json.dumps(header).encode()
        head += b" " * (-len(head) % 8)
        with open(os.path.join(folder, file_name), "wb") as file:
            file.write(len(head).to_bytes(8, "little") + head)
            start = file.tell()
            file.truncate(start + at)
            for name, dtype, shape, n in group:
                layer = re.search(r"layers\.(\d+)\.", name)
                if layer and int(layer[1]) >= filled:
                    continue
                assert dtype == "bf16", dtype
                key = 1 if len(shape) == 1 else max(shape)
                if key not in blocks:
                    blocks[key] = filling(random, shape)
                block = blocks[key]
                file.seek(start + header[name]["data_offsets"][0])
                # Each tensor begins elsewhere in the block.
                skip = 2 * int(random.integers(BLOCK))
                while n > 0:
                    part = block[skip : skip + n]
                    file.write(part)
                    n, skip = n - len(part), 0
        total += start + at
    with open(os.path.join(folder, "model.safetensors.index.json"), "w") as file:
        json.dump({"metadata": {"total_size": total}, "weight_map": where}, file)
    return total


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("folder")
    args.add_argument("--tpc", default="target/release/tpc")
    args.add_argument("--program")
    args.add_argument("--filled", type=int, default=1 << 30)
    args.add_argument("--budget")
    args.add_argument("--keep", action="store_true")
    args = args.parse_args()
    os.makedirs(args.folder, exist_ok=True)
    path = lambda name: os.path.join(args.folder, name)
    if args.program:
        shutil.copyfile(args.program, path("big.tir"))
    else:
        generator = os.path.join(os.path.dirname(os.path.abspath(args.tpc)), "examples/large")
        with open(path("big.tir"), "w") as file:
            subprocess.run([generator, "decoder"], check=True, stdout=file)
    with open(path("big.tir")) as file:
        size = shards(args.folder, file.read(), args.filled)
    with open(path("plan.toml"), "w") as file:
        file.write("[target]\nratio = 0.5\n")
        if args.budget:
            file.write(f'[verify]\nbudget = "{args.budget}"\n')
    os.sync()
    start = time.perf_counter()
    # Reads are by mapped pages, which the system counts as blocks.
    child = subprocess.run([os.path.abspath(args.tpc), "compile", path("big.tir"), "--prune", path("plan.toml"), "-o", path("out.tir")])
    seconds, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    written = sum(os.path.getsize(path(f)) for f in os.listdir(args.folder) if f.startswith("out"))
    print(f"weights {size / 1e9:.2f} GB, result {written / 1e9:.2f} GB, exit {child.returncode}")
    print(f"{seconds:.0f} s ({used.ru_utime:.0f} s user, {used.ru_stime:.0f} s system), peak resident memory {used.ru_maxrss / 1e6:.2f} GB")
    print(f"{used.ru_inblock * 512 / 1e9:.2f} GB read from disk, {used.ru_oublock * 512 / 1e9:.2f} GB written")
    start = time.perf_counter()
    for name in sorted(os.listdir(args.folder)):
        if name.startswith("model-"):
            with open(path(name), "rb") as file, open(os.devnull, "wb") as sink:
                shutil.copyfileobj(file, sink, 16 << 20)
    print(f"reading the weights once takes {time.perf_counter() - start:.0f} s")
    if not args.keep:
        for name in os.listdir(args.folder):
            if name in ("big.tir", "plan.toml") or name.startswith(("model", "out")):
                os.remove(path(name))
    sys.exit(child.returncode)


if __name__ == "__main__":
    main()
