"""The files of the tree, and C text without comments and literals."""
import os
import re
import subprocess

SKIP_DIRS = {".git", "build", "__pycache__", "target", ".cache"}


class Tree:
    """root: the directory to check; paths are relative to it, with '/' between."""

    def __init__(self, root):
        self.root = os.path.abspath(root)
        self.paths = sorted(self._tracked() or self._walk())

    def _tracked(self):
        """What git would commit, new files included; None where there is no repository."""
        if not os.path.exists(os.path.join(self.root, ".git")):
            return None
        got = subprocess.run(
            ["git", "-c", "safe.directory=*", "-C", self.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            capture_output=True, check=False)
        paths = [p.decode() for p in got.stdout.split(b"\0") if p]
        return [p for p in paths if os.path.isfile(os.path.join(self.root, p))]

    def _walk(self):
        for where, dirs, names in os.walk(self.root):
            dirs[:] = [d for d in dirs if d not in SKIP_DIRS]
            for name in names:
                yield os.path.relpath(os.path.join(where, name), self.root)

    def files(self, *endings):
        return [p for p in self.paths if p.endswith(endings)]

    def read(self, path):
        with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as f:
            return f.read()

    def is_text(self, path):
        with open(os.path.join(self.root, path), "rb") as f:
            return b"\0" not in f.read(8192)

    def scripts(self):
        """Executable files that begin with #!."""
        found = []
        for path in self.paths:
            full = os.path.join(self.root, path)
            if os.access(full, os.X_OK) and not os.path.islink(full):
                with open(full, "rb") as f:
                    if f.read(2) == b"#!":
                        found.append(path)
        return found


LEXEMES = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def code_only(text):
    """C text in which comments and literals have become blanks, so that lines keep their numbers."""
    return LEXEMES.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1
