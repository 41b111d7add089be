#!/usr/bin/env python3
"""Each check of tests/tidy finds what it is there for, and says nothing about a tree that is right."""
import contextlib
import io
import os
import tempfile
import unittest

import tidy
from tree import Tree

HEADER = "/* {0}: for a test. */\n#pragma once\n"
SCRIPT = "#!/usr/bin/env bash\necho 'usage: x'\necho 'example: x'\n"

# check: files that it must object to, one tree each.
WRONG = {
    "includes": [
        {"lib/util/a.c": '#include "quic/quic.h"\n', "lib/quic/quic.h": ""},
        {"lib/quic/a.c": '#include "sys/log.h"\n', "lib/sys/log.h": ""},
        {"cluster/a.c": '#include "quic/quic.h"\n', "lib/quic/quic.h": ""},
        {"control/a.c": '#include "dataplane/lcore.h"\n', "dataplane/lcore.h": ""},
        {"dataplane/a.c": '#include "cluster/members.h"\n', "cluster/members.h": ""},
        {"cluster/balance/a.c": '#include "cluster/members.h"\n', "cluster/members.h": ""},
        {"cluster/balance/a.c": '#include "wire/swim.h"\n', "lib/wire/swim.h": ""},
        {"lib/rpc/a.c": '  #  include "../../control/x.h"\n', "control/x.h": ""},
        {"client/a.c": '#include "control/x.h"\n', "control/x.h": ""},
        {"lib/quic/a.h": '#include "tests/rn_test.h"\n', "tests/rn_test.h": ""},
    ],
    "third_parties": [
        {"control/a.c": "#include <rte_mbuf.h>\n"},
        {"lib/quic/a.c": "#include <rte_cycles.h>\n"},
        {"dataplane/a.c": "#include <uv.h>\n"},
        {"lib/rpc/a.h": "#include <sys/socket.h>\n"},
        {"cluster/a.c": "#include <pthread.h>\n"},
        {"lib/util/a.c": "#include <time.h>\n"},
        {"dataplane/a.c": "#include <openssl/ssl.h>\n"},
    ],
    "sans_io": [
        {"lib/quic/a.c": "void f(void) { g(malloc(3)); }\n"},
        {"lib/util/a.h": "static inline void f(void *p) { free(p); }\n"},
        {"cluster/a.c": "int t = clock_gettime(0, &ts);\n"},
        {"lib/rpc/a.c": "int t = getrandom(p, 3, 0);\n"},
        {"lib/ring/a.c": "void f(void) { pthread_create(a, b, c, d); }\n"},
        {"cluster/balance/a.c": "int x = rand();\n"},
    ],
    "headers": [
        {"lib/util/a.h": "#pragma once\n"},
        {"lib/util/a.h": "/* lib/util/b.h: another. */\n#pragma once\n"},
        {"lib/util/a.h": "/* lib/util/a.h: no guard. */\n"},
    ],
    "length": [{"control/a.c": "\n" * 700}, {"tools/x": "#!/bin/sh\n" * 700}],
    "functions": [{"control/a.c": "static int f(struct a *x,\n  int y) {\n" + "  g();\n" * 80 + "}\n"}],
    "text": [{"control/a.c": "int a; \n"}, {"control/a.c": "\tint a;\n"}, {"docs/a.md": "no newline"}],
    "markers": [{"control/a.c": "/* TO" + "DO: later */\n"}, {"docs/a.md": "FIX" + "ME\n"}, {"tools/x": "#!/bin/sh\n# X" + "XX\n"}],
    "format": [{"control/a.c": "int  f (void){return 1;}\n", ".clang-format": "BasedOnStyle: LLVM\n"}],
    "shell": [{"tools/x": "#!/bin/sh\nunused=1\n"}],
    "help": [{"tools/x": "#!/bin/sh\nexit 1\n"}, {"tools/x": "#!/bin/sh\necho 'usage: x'\n"}],
    "contracts": [
        {"lib/util/a.h": HEADER.format("lib/util/a.h") + "\nint rn_a(int b);\n"},
        {"lib/util/a.h": HEADER.format("lib/util/a.h") + "\n/* Says what. */\nint rn_a(int b);\n\nint rn_b(int b,\n         int c);\n"},
    ],
    "hosts": [{"docker/Dockerfile": "FROM docker" + ".io/debian\n"}, {"tools/x": "curl https://static.crates" + ".io/x\n"}],
    "places": [{"docs/a.md": "see /wo" + "rk/main\n"}, {"tools/x": "cd /ho" + "me/me/x\n"}],
    "keys": [
        {"docker/node.key": "x\n"},
        {"tests/a.h": "-----BE" + "GIN PRIVATE KEY-----\n" + "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\n"},
    ],
}

RIGHT = {
    "lib/util/a.h": HEADER.format("lib/util/a.h") + '#include <stdint.h>\n\n/* Says what. */\nint rn_a(int b);\nint rn_b(int b);\n\n'
                    "int rn_c(void); /* beside it */\n",
    "lib/util/a.c": '#include "util/a.h"\n\n/* malloc(3) in a comment, "free(" in a text */\nint rn_a(int b) { return rn_c("open("); }\n',
    "lib/quic/a.c": '#include "util/a.h"\n\n#include <openssl/ssl.h>\n\nint f(struct s *s) { return s->read(1) + s->ops.free(2); }\n',
    "dataplane/a.c": '#include "cluster/balance/b.h"\n#include "quic/b.h"\n\n#include <rte_mbuf.h>\n',
    "cluster/a.c": '#include "cluster/balance/b.h"\n',
    "cluster/balance/b.h": HEADER.format("cluster/balance/b.h"),
    "lib/quic/b.h": HEADER.format("lib/quic/b.h"),
    "tools/x": SCRIPT,
    ".clang-format": "BasedOnStyle: LLVM\nColumnLimit: 120\n",
}


def objections(name, files):
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as f:
                f.write(text)
            if text.startswith("#!"):
                os.chmod(full, 0o755)
        with contextlib.redirect_stdout(io.StringIO()):
            return list(tidy.CHECKS[name](Tree(root)))


class Checks(unittest.TestCase):
    def test_each_check_is_tested(self):
        self.assertEqual(set(WRONG), set(tidy.CHECKS))

    def test_each_finds_what_is_wrong(self):
        for name, trees in WRONG.items():
            for files in trees:
                with self.subTest(check=name, files=sorted(files)):
                    self.assertTrue(objections(name, files))

    def test_none_objects_to_what_is_right(self):
        for name in tidy.CHECKS:
            with self.subTest(check=name):
                self.assertEqual(objections(name, RIGHT), [])


if __name__ == "__main__":
    unittest.main()
