#!/usr/bin/env python3
"""Prints one fuzz target's coverage as a Markdown table, from what llvm-cov export wrote. tests/fuzz/coverage calls it."""
import json
import os
import sys


def main():
    if len(sys.argv) != 3 or sys.argv[1] in ("-h", "--help"):
        print("usage: coverage.py NAME FILE.json      example: coverage.py ring build/fuzzcov/ring.json")
        return 2
    name, path = sys.argv[1:]
    with open(path, encoding="utf-8") as f:
        data = json.load(f)["data"][0]
    missed = {}
    for function in data["functions"]:
        if function["count"] == 0:
            missed.setdefault(function["filenames"][0], set()).add(function["name"].split(":")[-1])
    print(f"\n### {name}\n\n| file | lines reached | of | | never called |\n|---|---|---|---|---|")
    reached = total = 0
    for file in sorted(data["files"], key=lambda f: f["filename"]):
        lines = file["summary"]["lines"]
        reached += lines["covered"]
        total += lines["count"]
        names = ", ".join(f"`{n}`" for n in sorted(missed.get(file["filename"], ())))
        short = os.path.relpath(file["filename"])
        print(f"| `{short}` | {lines['covered']} | {lines['count']} | {lines['percent']:.0f} % | {names} |")
    print(f"| all | {reached} | {total} | {100 * reached / max(total, 1):.0f} % | |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
