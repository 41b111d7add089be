#!/usr/bin/env python3
"""usage: tests/tidy/docs.py GENERATOR DOCUMENT FILE

Says whether FILE is what GENERATOR writes for DOCUMENT, and how it differs.

example: tests/tidy/docs.py build/debug/tools/gen/rn_gen_docs metrics docs/metrics.md
"""
import difflib
import subprocess
import sys


def main(args):
    if args in (["-h"], ["--help"]) or len(args) != 3:
        print(__doc__)
        return 0 if args in (["-h"], ["--help"]) else 2
    generator, document, path = args
    made = subprocess.run([generator, document], capture_output=True, text=True, check=True).stdout
    with open(path, encoding="utf-8") as f:
        kept = f.read()
    sys.stdout.writelines(difflib.unified_diff(kept.splitlines(True), made.splitlines(True), path, "lib/schema", n=0))
    if made != kept:
        print(f"not ok {path} is out of date: tools/gen-docs")
        return 1
    print(f"ok {path} says what lib/schema declares")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
