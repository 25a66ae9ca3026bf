"""What the scripts that export networks have in common: their command line."""
import argparse, os, sys


def main(family, full=lambda name: name, said=slice(300)):
    """Exports what the command line of a family asks for.

    A family is a module with `sources()`, `stem(name)`, `fits(name, exporter)`, `EXPORTERS` and `export(name, exporter, path)`; `full` completes a name, `said` is what is shown of a
    message of its exporters.
    """
    args = argparse.ArgumentParser(description=family.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("names", nargs="*")
    args.add_argument("--out", default=".")
    args.add_argument("--list", action="store_true")
    args = args.parse_args()
    if args.list or not args.names:
        print("\n".join(family.sources()))
        return
    os.makedirs(args.out, exist_ok=True)
    failed = 0
    for asked in args.names:
        name, _, exporter = asked.rpartition(".") if asked.endswith(tuple(f".{e}" for e in family.EXPORTERS)) else (asked, "", "")
        name = full(name)
        for each in [exporter] if exporter else [e for e in family.EXPORTERS if family.fits(name, e)]:
            path = os.path.join(args.out, f"{family.stem(name)}.{each}.onnx")
            try:
                family.export(name, each, path)
                if not os.path.exists(path):
                    raise RuntimeError("nothing was written")
                print(f"ok   {path}", flush=True)
            except KeyboardInterrupt:
                raise
            except BaseException as problem:  # exporters end the process, too
                failed += 1
                print(f"FAIL {name}.{each}: {type(problem).__name__}: {' '.join(str(problem).split())[said]}", flush=True)
    sys.exit(failed > 0)
