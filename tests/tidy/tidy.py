#!/usr/bin/env python3
"""usage: tests/tidy/tidy.py [--root DIR] CHECK... | all | list

Checks the style and the layering of the tree. One line per check; what is wrong comes before it,
as FILE:LINE: TEXT. Exit status 1 when a check fails.

example: tests/tidy/tidy.py includes format
"""
import os
import sys

import content
import layers
import style
from tree import Tree

CHECKS = {
    name.removeprefix("check_"): function
    for module in (layers, style, content)
    for name, function in vars(module).items()
    if name.startswith("check_") and function.__module__ == module.__name__
}


def run(tree, name):
    """True when there is nothing to say against the tree."""
    found = list(CHECKS[name](tree))
    for path, line, text in found:
        print(f"{path}:{line}: {text}")
    print(f"{'not ok' if found else 'ok'} {name}: {CHECKS[name].__doc__}" + (f" ({len(found)} found)" if found else ""))
    return not found


def main(args):
    root = os.path.join(os.path.dirname(__file__), "..", "..")
    if args[:1] == ["--root"]:
        root, args = args[1], args[2:]
    if args in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    if args == ["list"]:
        print("\n".join(CHECKS))
        return 0
    names = list(CHECKS) if args == ["all"] else args
    if not names or any(n not in CHECKS for n in names):
        print(__doc__, file=sys.stderr)
        return 2
    tree = Tree(root)
    return 0 if all([run(tree, n) for n in names]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
