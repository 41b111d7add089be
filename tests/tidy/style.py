"""The shape of files: docs and STYLE in the form of checks."""
import os
import re
import subprocess

from tree import code_only, line_of

FILE_LINES_MAX = 700
FUNCTION_LINES_MAX = 80
SOURCES = (".c", ".h", ".def", ".py", ".rs", ".sh")


def check_headers(tree):
    """a header begins with a comment that names it, and has #pragma once"""
    for path in tree.files(".h"):
        text = tree.read(path)
        if not re.match(r"/\* " + re.escape(path) + r"\b", text):
            yield path, 1, f"does not begin with /* {path}: what it is about"
        if not re.search(r"^#pragma once$", text, re.M):
            yield path, 1, "no #pragma once"


def check_length(tree):
    """a file has fewer than 700 lines"""
    for path in tree.files(*SOURCES) + tree.scripts():
        lines = tree.read(path).count("\n")
        if lines >= FILE_LINES_MAX:
            yield path, lines, f"{lines} lines"


# A definition at the start of a line: its first line, then its body up to a brace at the start of a line.
FUNCTION = re.compile(r"^(?!typedef|struct \w+ \{|enum|union|static const struct)([a-zA-Z_][^;{}#]*?\b(\w+)\([^;{}]*\))\s*\{(.*?)^\}", re.M | re.S)


def functions(tree):
    for path in tree.files(".c", ".h"):
        text = code_only(tree.read(path))
        for m in FUNCTION.finditer(text):
            yield m.group().count("\n") + 1, path, line_of(text, m.start()), m.group(2)


def check_functions(tree):
    """a function has at most 80 lines"""
    found = sorted(functions(tree), reverse=True)
    for lines, path, line, name in found[:3]:
        print(f"  longest: {name} has {lines} lines ({path}:{line})")
    for lines, path, line, name in found:
        if lines > FUNCTION_LINES_MAX:
            yield path, line, f"{name} has {lines} lines"


def check_text(tree):
    """no tabs in C, no blanks at the end of lines, a newline at the end of files"""
    for path in tree.files(*SOURCES, ".md", ".build", ".yml", ".yaml") + tree.scripts():
        if "/corpus/" in path:
            continue
        text = tree.read(path)
        for n, line in enumerate(text.split("\n"), 1):
            if line != line.rstrip():
                yield path, n, "blanks at the end of the line"
            if "\t" in line and path.endswith((".c", ".h", ".def")):
                yield path, n, "a tab"
        if text and not text.endswith("\n"):
            yield path, text.count("\n") + 1, "no newline at the end"


def check_markers(tree):
    """no notes of unfinished work"""
    words = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK")) + r")\b")
    for path in tree.files(*SOURCES, ".md", ".build", ".yml", ".yaml") + tree.scripts():
        text = tree.read(path)
        for m in words.finditer(text):
            yield path, line_of(text, m.start()), f"{m.group()}: finish it or leave it out"


def check_format(tree):
    """clang-format has nothing to change"""
    paths = tree.files(".c", ".h")
    if not paths:
        return
    got = subprocess.run(["clang-format", "--dry-run", "-Werror", *paths], cwd=tree.root, capture_output=True, text=True, check=False)
    first = {}
    for m in re.finditer(r"^([^\s:]+):(\d+):\d+: error:", got.stderr, re.M):
        first.setdefault(m.group(1), int(m.group(2)))
    for path, line in sorted(first.items()):
        yield path, line, "is not as clang-format would have it: clang-format -i " + path
    if got.returncode != 0 and not first:
        yield ".clang-format", 1, got.stderr.strip()[:300]


def check_shell(tree):
    """shellcheck has nothing to say"""
    paths = [p for p in tree.scripts() if re.match(r"#!.*\b(ba)?sh\b", tree.read(p))] + tree.files(".sh")
    if not paths:
        return
    got = subprocess.run(["shellcheck", "-x", "-S", "warning", "-f", "gcc", *sorted(set(paths))], cwd=tree.root, capture_output=True, text=True, check=False)
    for line in got.stdout.splitlines():
        path, number, rest = line.split(":", 2)
        yield path, int(number), rest


def check_help(tree):
    """each script in tools answers --help with its usage and an example"""
    for path in tree.scripts():
        if not re.fullmatch(r"tools/[^/]+", path):
            continue
        got = subprocess.run([os.path.join(tree.root, path), "--help"], cwd=tree.root, capture_output=True, text=True, timeout=20,
                             check=False, stdin=subprocess.DEVNULL)
        if got.returncode != 0 or not got.stdout.lower().startswith("usage:") or "example" not in got.stdout.lower():
            yield path, 1, f"--help ended with {got.returncode} and shows no usage: with an example"


PROTOTYPE = re.compile(r"^(?!typedef|static|extern|struct \w+ \{|#)[a-z_][\w \t*]*\b(rn_\w+)\([^{}]*?\)[^{};]*;[^\n]*", re.M)


def check_contracts(tree):
    """each prototype in lib has a comment before it, beside it, or before the group it stands in"""
    for path in tree.files(".h"):
        if not path.startswith(("lib/", "cluster/")) or path.endswith(("_pvt.h", "_priv.h")):
            continue
        text = tree.read(path)
        lines = text.split("\n")
        told = set()  # last lines of prototypes that a comment covers
        for m in PROTOTYPE.finditer(code_only(text)):
            first = line_of(text, m.start())
            last = line_of(text, m.end())
            before = lines[first - 2].rstrip() if first >= 2 else ""
            covered = before.endswith("*/") or first - 1 in told or "/*" in lines[last - 1] or "/*" in lines[first - 1]
            if covered:
                told.add(last)
            else:
                yield path, first, f"{m.group(1)}: nothing says what it does"
