#!/usr/bin/env python3
"""usage: tests/system/abuse.py [--seconds S] [--list] [CASE...]

Bad input on the network. A node on core 0; from core 1, for S seconds (default 2; tools/test long: 10) each, the cases of tests/system/abuse
(* and ? match). During each, a second client offers calls at a fixed rate over 4 connections, well below what the node can do, because it shares its
core with the attacker: at least 90 % of them have to be answered, without an error. Each case has to be counted under the reasons that its entry in
the table names; afterwards the node holds what it held before. Once all are done, those that hold the most are
done once more, and the memory of the data plane may be 1 % above what it was before that.

Prints "ok NAME" or "not ok NAME: why" lines, then the table.

example: tests/system/abuse.py --seconds 5 'flood_*' rapid_reset
"""
import argparse
import asyncio
import fnmatch
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/interop"), str(ROOT / "tests/system")]
ADDR = ("10.77.0.2", 8080)
RATE = 500
CONFIG = """
node: {{ run_dir: {work}/run }}
port: {{ interface: rn0 }}
lcores: {{ cores: [0] }}
tls: {{ cert: {work}/node.crt, key: {work}/node.key }}
quic: {{ max_idle_timeout: 3s, handshake_timeout: 2s, max_concurrent_streams: 1000 }}
rpc: {{ request_timeout: 2s, stream_item_timeout: 2s, max_request_bytes: 1MiB, max_item_bytes: 1MiB }}
limits: {{ connections: 48, half_open: 24, signing_queue: 24, streams: 8192, calls: 1024, request_buffer: 8MiB, connection_heap: 32MiB,
          send_segments: 16384, bulk_segments: 2048, stateless_answers: 20000 }}
"""
HELD = {"quic": ["conns", "half_open", "streams", "segs", "sign_jobs", "heap_bytes"], "rpc": ["calls", "body_bytes"]}


class Node:
    def __init__(self, work, build):
        self.work, self.build = work, build
        for ns in ("rnus", "rnpeer"):
            run("ip", "netns", "add", ns)
        run("ip", "link", "add", "rn0", "netns", "rnus", "type", "veth", "peer", "name", "rn1", "netns", "rnpeer")
        for ns, dev, addr in (("rnus", "rn0", ADDR[0]), ("rnpeer", "rn1", "10.77.0.1")):
            run("ip", "-n", ns, "address", "add", addr + "/24", "dev", dev)
            run("ip", "-n", ns, "link", "set", dev, "up")
        run("ip", "-n", "rnpeer", "link", "set", "lo", "up")
        (work / "node.yaml").write_text(CONFIG.format(work=work), encoding="utf-8")
        log = open(work / "log", "w", encoding="utf-8")
        self.process = subprocess.Popen(["ip", "netns", "exec", "rnus", f"{build}/control/rpcnetd", "--config", f"{work}/node.yaml"], stderr=log)
        for _ in range(100):
            if self.ask("status").get("dataplane", {}).get("state") == "serving":
                break
            time.sleep(0.1)
        status = self.ask("status")
        self.pid, self.starts = status["dataplane"]["pid"], status["dataplane"]["starts"]
        link = json.loads(run("ip", "-n", "rnus", "-j", "link", "show", "rn0", stdout=subprocess.PIPE).stdout)
        self.mac = bytes.fromhex(link[0]["address"].replace(":", ""))

    def ask(self, what):
        answer = subprocess.run([f"{self.build}/tools/rpcnetctl", "--socket", f"{self.work}/run/control.sock", what, "--json"],
                                capture_output=True, text=True, check=False)
        return json.loads(answer.stdout) if answer.returncode == 0 else {}

    def counters(self):
        metrics = self.ask("stats")["lcores"][0]["metrics"]
        return {f"{group}.{name}": value for group, names in metrics.items() for name, value in names.items()}

    def held(self):
        now = self.counters()
        return {f"{g}.{n}": now[f"{g}.{n}"] for g, names in HELD.items() for n in names if now[f"{g}.{n}"]}

    def rss_kib(self):
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1])
        return 0

    def stop(self):
        self.process.terminate()
        return self.process.wait(15)


def run(*args, **kwargs):
    return subprocess.run(args, check=True, text=True, **kwargs)


class Attack:
    """What a case works with."""

    def __init__(self, node, seconds):
        from quic_peer import Target

        self.addr, self.interface, self.mac, self.build, self.seconds = ADDR, "rn1", node.mac, node.build, seconds
        self.target = Target(ADDR, f"{node.work}/node.crt", "localhost")
        self.until, self.sent = time.monotonic() + seconds, 0

    def on(self):
        return time.monotonic() < self.until

    async def connect(self, wait_s=3, **how):
        return await self.target.connect(wait_s=wait_s, **how)

    async def first_flight(self):
        """An Initial of a real client, and silence."""
        from aioquic.quic.configuration import QuicConfiguration
        from aioquic.quic.connection import QuicConnection

        quic = QuicConnection(configuration=QuicConfiguration(is_client=True, alpn_protocols=["h3"], server_name="localhost"))
        quic.connect(ADDR, now=time.monotonic())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for data, _ in quic.datagrams_to_send(now=time.monotonic()):
                s.sendto(data, ADDR)

    def forget(self, *peers):
        """Closes these connections, or all."""
        for peer in peers or list(self.target.peers):
            peer.close()
            peer._transport.close()
            if peer in self.target.peers:
                self.target.peers.remove(peer)

    def close(self):
        self.target.close()


async def friend(build, seconds):
    """The share of the calls offered that were answered, and the errors."""
    bench = await asyncio.create_subprocess_exec(
        "nice", "-n", "-10", f"{build}/tools/bench/rpcnet-bench", "load", f"{ADDR[0]}:{ADDR[1]}", "-c", "4", "-r", str(RATE), "-d", str(seconds),
        "--warmup", "0.3", "--spin", "0", "-q", "--json", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)  # fmt: skip
    out, err = await bench.communicate()
    if not out:
        return {"kept": 0.0, "errors": 1, "p99_us": 0.0, "why": err.decode()}
    r = json.loads(out)
    return {"kept": r["calls"] / (RATE * r["seconds"]), "errors": r["errors"], "p99_us": r["p99_us"], "why": ""}


async def until_released(node, limit_s=12):
    """What the node still holds when it has had that long to let go."""
    end = time.monotonic() + limit_s
    while (held := node.held()) and time.monotonic() < end:
        await asyncio.sleep(0.25)
    return held


def complaints(counters, before, after, sent, good, held, restarted):
    if restarted:
        yield "the data plane died"
    if good["kept"] < 0.9 or good["errors"]:
        yield f"the other client kept {good['kept']:.0%} with {good['errors']} errors {good['why']}"
    for name, least in counters.items():
        want = least * sent if 0 < least < 1 else least
        if after[name] - before[name] < want:
            yield f"{name} grew by {after[name] - before[name]}, wanted {want:.0f} of {sent} sent"
    if held:
        yield f"still held: {held}"


async def one(node, build, entry, seconds):
    name, _, counters, attack = entry
    before, a = node.counters(), None
    good = asyncio.create_task(friend(build, seconds))
    await asyncio.sleep(0.35)
    a = Attack(node, seconds)
    try:
        async with asyncio.timeout(seconds + 8):
            await attack(a)
    except TimeoutError:
        print(f"# {name}: the attack itself did not end", flush=True)
    finally:
        a.close()
    good = await good
    held = await until_released(node)
    restarted = node.ask("status")["dataplane"]["starts"] != node.starts
    after = node.counters()
    why = "; ".join(complaints(counters, before, after, a.sent, good, held, restarted))
    print(f"ok abuse {name}" if not why else f"not ok abuse {name}: {why}", flush=True)
    if why:
        print("# grew: " + ", ".join(f"{k} {v - before[k]}" for k, v in after.items() if v > before[k] and k.startswith(("quic", "rpc", "net"))), flush=True)
    grown = {k: after[k] - before[k] for k in counters}
    return {"name": name, "sent": a.sent, "kept": good["kept"], "p99_us": good["p99_us"], "grown": grown, "rss": node.rss_kib(), "good": not why}


async def run_all(node, build, cases, seconds):
    found = [await one(node, build, entry, seconds) for entry in cases]
    print(f"{'case':<22}{'sent':>9}{'other client':>14}{'p99 us':>9}{'RSS KiB':>9}  counted")
    for r in found:
        print(f"{r['name']:<22}{r['sent']:>9}{r['kept']:>13.1%}{r['p99_us']:>9.0f}{r['rss']:>9}  " + ", ".join(f"{k} {v}" for k, v in r["grown"].items()))
    good = all(r["good"] for r in found)
    # What was never touched before is touched by now: once more the cases that hold the most may not add to it.
    again = [c for c in cases if c[0] in ("connection_limit", "call_limit", "request_memory", "slow_readers", "silent_streams", "flood_initial")]
    if len(cases) > len(again) > 0:
        before = node.rss_kib()
        good &= all([(await one(node, build, entry, seconds))["good"] for entry in again])
        after = node.rss_kib()
        good &= after <= before * 1.01
        print(("ok" if after <= before * 1.01 else "not ok") + f" abuse memory: {after} KiB, {before} before the last {len(again)} cases once more")
    return good


def main():
    parser = argparse.ArgumentParser(usage=__doc__, add_help=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("cases", nargs="*")
    options = parser.parse_args()
    if options.help:
        print(__doc__)
        return 0
    os.chdir(ROOT)
    if not os.environ.get("RPCNET_IN_ENV"):
        os.execv("tools/in-env", ["tools/in-env", "tests/system/abuse.py", *sys.argv[1:]])
    from abuse import datagrams, quic, rpc  # noqa: F401 they fill the table
    from abuse.table import CASES

    cases = [c for c in CASES if not options.cases or any(fnmatch.fnmatch(c[0], w) for w in options.cases)]
    if options.list or not cases:
        for name, shows, counters, _ in cases or CASES:
            print(f"{name:<22} {shows} ({', '.join(counters)})")
        return 0 if cases else 2
    build = os.environ.get("RPCNET_BUILD", "build/release")
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        work.chmod(0o755)
        run("tools/certs", name, stdout=subprocess.DEVNULL)
        node = Node(work, build)
        with open("/run/netns/rnpeer", "rb") as ns:
            os.setns(ns.fileno(), os.CLONE_NEWNET)
        os.sched_setaffinity(0, {1 % os.cpu_count()})
        good = asyncio.run(run_all(node, build, cases, options.seconds))
        status = node.stop()
        print("ok abuse end" if status == 0 else f"not ok abuse end: status {status}")
    return 0 if good and status == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
