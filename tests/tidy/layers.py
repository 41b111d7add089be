"""Which room may see which: the #include lines and the calls of each."""
import os
import re

from tree import code_only, line_of

# Room: rooms whose headers it may include, besides its own. A room is the longest prefix here of a file's path.
LIB = {"lib/util", "lib/wire", "lib/ring", "lib/quic", "lib/rpc", "lib/topo", "lib/sys"}
EDGES = {
    "lib/util": set(),
    "lib/wire": {"lib/util"},
    "lib/ring": {"lib/util"},
    "lib/quic": {"lib/util"},
    "lib/rpc": {"lib/util", "lib/wire", "lib/quic"},
    "lib/topo": {"lib/util", "lib/ring", "lib/quic"},
    "lib/sys": {"lib/util"},
    "cluster/balance": {"lib/util"},
    "cluster": {"lib/util", "lib/wire", "cluster/balance"},
    "dataplane": LIB | {"cluster/balance", "include"},
    "control": LIB | {"cluster", "cluster/balance", "include"},
    "client": {"lib/util", "lib/wire", "lib/quic", "lib/rpc", "lib/sys", "include"},
    "app": {"lib/util", "lib/wire", "lib/ring", "lib/sys", "include"},
    "tools": LIB | {"client", "app", "cluster", "cluster/balance", "control", "dataplane", "include"},
    "examples": {"include"},
    "include": set(),
}
# These see every room: they drive what others only use. lib/schema is seen by all; it has declarations only.
FREE = {"tests", "bench"}

# Sans-IO rooms: bytes, time and randomness are arguments. Headers of the compiler and of libc that do no I/O.
PLAIN = {
    "assert.h", "ctype.h", "errno.h", "float.h", "inttypes.h", "limits.h", "math.h", "stdalign.h", "stdarg.h", "stdatomic.h",
    "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h", "endian.h", "immintrin.h", "x86intrin.h", "cpuid.h",
}
SANS_IO = {
    "lib/util": PLAIN,
    "lib/wire": PLAIN,
    "lib/ring": PLAIN,
    "lib/quic": PLAIN,
    "lib/rpc": PLAIN,
    "lib/topo": PLAIN,
    "cluster/balance": PLAIN,
    "cluster": PLAIN,
}
# Third parties, by the prefix of their headers: folders that may see them.
THIRD = {
    "openssl/": {"lib/quic", "control", "tests", "bench", "client", "tools"},
    "ngtcp2/": {"lib/quic", "tests", "bench"},
    "intel-ipsec-mb.h": {"lib/quic", "tests", "bench"},
    "rte_": {"dataplane", "bench", "tools", "tests/unit/dataplane"},
    "uv.h": {"control"},
    "microhttpd.h": {"control"},
    "libfyaml.h": {"control"},
    "bpf/": {"control", "tests"},
    "xdp/": {"control", "dataplane"},
    "yyjson.h": {"control", "tools", "tests", "bench"},
    "cmocka.h": {"tests"},
}

# Words that a sans-IO room never says: memory that grows, time, randomness, I/O, threads.
CALLS = re.compile(
    r"(?<![\w.>])(malloc|calloc|realloc|free|strdup|strndup|asprintf|vasprintf|aligned_alloc|posix_memalign|alloca|mmap|"
    r"time|clock|clock_gettime|gettimeofday|nanosleep|sleep|usleep|rand|random|srand|getrandom|getentropy|arc4random|"
    r"RAND_bytes|socket|bind|connect|send|sendto|sendmsg|sendmmsg|recv|recvfrom|recvmsg|recvmmsg|poll|select|epoll_wait|"
    r"open|openat|read|write|fopen|fork|pthread_\w+|thrd_\w+|mtx_\w+|syscall|getenv|system)\s*\(")

# Exceptions, each with its reason. What is not here may not.
HEADER_EXCEPTIONS = {
    ("lib/quic/path.c", "arpa/inet.h"): "ngtcp2 takes addresses as struct sockaddr",
    ("lib/quic/path.c", "netinet/in.h"): "the same",
    ("lib/quic/contain.c", "setjmp.h"): "the way back from a failed assertion of a library",
    ("lib/quic/imb.c", "threads.h"): "call_once: the table of functions for this CPU is the same for all threads",
}
CALL_EXCEPTIONS = {}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)


def room_of(path):
    parts = path.split("/")
    for n in (2, 1):
        room = "/".join(parts[:n])
        if len(parts) > n and (room in EDGES or room in FREE or room == "lib/schema"):
            return room
    return None


def resolve(tree, path, name):
    """The file that #include "name" in path means, or None."""
    for base in ("lib", "", "include", os.path.dirname(path)):
        candidate = os.path.normpath(os.path.join(base, name))
        if os.path.isfile(os.path.join(tree.root, candidate)):
            return candidate
    return None


def c_files(tree):
    return tree.files(".c", ".h", ".def")


def check_includes(tree):
    """no room includes a header of a room above it"""
    for path in c_files(tree):
        room = room_of(path)
        text = tree.read(path)
        for m in INCLUDE.finditer(text):
            if room is None or room in FREE or m.group(1) != '"':
                continue
            target = resolve(tree, path, m.group(2))
            there = room_of(target) if target else None
            if there in (None, room, "lib/schema") or there in EDGES.get(room, set()):
                continue
            yield path, line_of(text, m.start()), f"{room} may not include {target}: {there} is not below it"


def check_third_parties(tree):
    """headers of third parties and of the system only where they belong"""
    for path in c_files(tree):
        room = room_of(path)
        if room is None:
            continue
        text = tree.read(path)
        for m in INCLUDE.finditer(text):
            name = m.group(2)
            if (path, name) in HEADER_EXCEPTIONS:
                continue
            owners = next((rooms for prefix, rooms in THIRD.items() if name.startswith(prefix)), None)
            if owners is not None:
                if not any(path.startswith(owner + "/") for owner in owners):
                    yield path, line_of(text, m.start()), f"<{name}> has no place in {room}"
            elif m.group(1) == "<" and room in SANS_IO and name not in SANS_IO[room]:
                yield path, line_of(text, m.start()), f"<{name}> has no place in {room}, which is sans-IO"


def check_sans_io(tree):
    """lib (but sys) and cluster call no allocator, clock, generator, socket or thread"""
    for path in tree.files(".c", ".h"):
        if room_of(path) not in SANS_IO:
            continue
        text = code_only(tree.read(path))
        for m in CALLS.finditer(text):
            if (path, m.group(1)) not in CALL_EXCEPTIONS:
                yield path, line_of(text, m.start()), f"{m.group(1)}() has no place in {room_of(path)}, which is sans-IO"
