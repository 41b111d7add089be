#!/usr/bin/env python3
"""Clusters of the published crate's nodes and of ours: who joins, is chosen, falls ill, comes back, leaves."""

import argparse
import concurrent.futures
import fnmatch
import os
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from types import SimpleNamespace

import clusters.calls  # registers its cases
import clusters.everybody  # the same
import clusters.membership  # the same
import gossip_probe
from clusters.common import CASES, case
from clusters.world import Failed, World, check

PARTS = ["director", "worker1", "worker2", "worker3", "node", "client"]
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# ---- frame by frame: tests/interop/gossip_probe.py ----


def probe_case(shows, name, limit_s):
    def body(world):
        node = world.part("node", "node", tags={"x": "probed"})
        certs, place = world.options.certs, world.place()
        world.extras.append(SimpleNamespace(place=place, end=lambda: None))
        command = [f"{ROOT}/tests/interop/gossip_probe.py", "--addr", node.addr, "--cert", f"{certs}/node.crt", "--key", f"{certs}/node.key", name]
        probe = place.run(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        output = probe.communicate(timeout=limit_s + 20)[0].strip().splitlines()
        for line in output[:-1]:
            world.report(line.removeprefix(f"# {name}: "))
        check(output and output[-1].startswith(f"ok {name}"), output[-1].removeprefix(f"not ok {name}: ") if output else "it said nothing")

    body.__name__ = f"gossip_{name}"
    case(shows, "node", limit_s=limit_s + 30)(body)


for one in gossip_probe.CASES:
    probe_case(one.shows, one.name, one.limit_s)


# ---- running them ----


def run(one, options):
    """Runs a case and prints its line. True if it passed."""
    lines, start = [], time.monotonic()
    world = World(SimpleNamespace(**vars(options), report=lambda text: lines.append(f"# {one.name}: {text}")))
    watchdog = threading.Timer(one.limit_s, lambda: [p.end() for p in [*world.extras, *world.parts.values()]])
    watchdog.start()
    try:
        one.run(world)
        lines.append(f"ok {one.name}")
    except Failed as why:
        late = f" (ended after {one.limit_s} s)" if time.monotonic() - start >= one.limit_s else ""
        lines.append(f"not ok {one.name}: {why}{late}")
    except Exception as why:  # a case that breaks is a case that fails
        where = traceback.extract_tb(why.__traceback__)[-1]
        lines.append(f"not ok {one.name}: {type(why).__name__} {why} ({os.path.basename(where.filename)}:{where.lineno})")
    finally:
        watchdog.cancel()
        if options.logs and lines[-1].startswith("not ok"):
            lines[-1:-1] = [f"# {one.name}: {text}" for text in world.logs()]
        world.close()
    if options.verbose:
        lines.insert(-1, f"# {one.name}: {time.monotonic() - start:.0f} s")
    print("\n".join(lines), flush=True)
    return lines[-1].startswith("ok")


def chosen_cases(args, ours):
    wanted = [c for c in CASES if any(fnmatch.fnmatch(c.name, pattern) for pattern in args.cases)] if args.cases else CASES
    named = {c.name for c in CASES} & set(args.cases)
    return [
        c
        for c in wanted
        if (args.long or not c.long or c.name in named) and (not ours or ours & set(c.parts)) and (ours or not c.mixed)
    ]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Parts: director, worker1, worker2, worker3, node, client; workers and all stand for several. With --ours only the cases run that have\n"
        "such a part. Needs a network namespace of its own and the right to make more of them.\n\n"
        "example: RPCNET_DOCKER_ARGS='--network none' tools/in-env --interop tests/interop/cluster.py --ours director heartbeats 'client_*'",
    )
    parser.add_argument("--ours", metavar="PART[,PART]", default="", help="parts that are nodes of ours; all others are the published crate's")
    parser.add_argument("--long", action="store_true", help="the cases of 10 minutes, too")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="run each case N times")
    parser.add_argument("--jobs", type=int, metavar="N", help="cases side by side (8; 4 with parts of ours)")
    parser.add_argument("--program", default=f"{ROOT}/build/interop-target/release/interop-cluster", help="the published crate's member")
    parser.add_argument("--build", default=os.environ.get("RPCNET_BUILD", f"{ROOT}/build/release"), help="directory of our programs")
    parser.add_argument("--certs", metavar="DIR", help="node.crt and node.key; made where it is not given")
    parser.add_argument("--logs", action="store_true", help="of a case that fails show the ends of all logs")
    parser.add_argument("--verbose", action="store_true", help="print how long each case took")
    parser.add_argument("--list", action="store_true", help="print the names and what each shows, and exit")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="cases to run, * and ? match (all but the long ones)")
    args = parser.parse_args()
    several = {"workers": PARTS[1:4], "all": PARTS, "": []}
    ours = {part for word in args.ours.split(",") for part in several.get(word, [word])}
    if ours - set(PARTS):
        parser.error(f"no part {', '.join(ours - set(PARTS))}")
    cases = chosen_cases(args, ours) * args.repeat
    if args.list:
        for c in CASES:
            print(f"{c.name:<24} {c.shows}" + (" (--long)" if c.long else "") + (" (--ours)" if c.mixed else ""))
        return 0
    unknown = [p for p in args.cases if not any(fnmatch.fnmatch(c.name, p) for c in CASES)]
    if unknown:
        parser.error(f"no case {', '.join(unknown)}; --list has them all")
    if not cases:
        print(f"# none of these cases has a part of ours: {', '.join(sorted(ours)) or 'none was named'}")
    with tempfile.TemporaryDirectory(prefix="cluster-certs-") as made:
        os.chmod(made, 0o755)
        if not args.certs:
            check(os.system(f"{ROOT}/tools/certs {made} 2>/dev/null") == 0, "tools/certs failed")
        options = SimpleNamespace(ours=ours, certs=args.certs or made, program=args.program, build=args.build, logs=args.logs, verbose=args.verbose)
        with concurrent.futures.ThreadPoolExecutor(args.jobs or (4 if ours else 8)) as jobs:
            return 0 if all(list(jobs.map(lambda c: run(c, options), cases))) else 1


if __name__ == "__main__":
    sys.exit(main())
