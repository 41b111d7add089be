"""Writes a C header with one 64-bit hash over the text of all given declarations.

usage: layout_hash.py OUTPUT INPUT...
"""
import hashlib
import sys

digest = hashlib.sha256()
for path in sorted(sys.argv[2:]):
    with open(path, "rb") as source:
        digest.update(hashlib.sha256(source.read()).digest())
with open(sys.argv[1], "w", encoding="ascii") as out:
    out.write("/* Made by lib/topo/layout_hash.py. */\n")
    out.write(f"#define RN_TOPO_LAYOUT 0x{digest.hexdigest()[:16]}ull\n")
