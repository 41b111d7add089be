"""A director, workers and a client, each in a network namespace of its own on one bridge, the lcores pinned. Shared by the programs of bench/system that
measure forwarding."""
import json
import os
import struct
import subprocess
import sys
import threading
import time

from servers import ROOT, cpu_s

sys.path.insert(0, str(ROOT / "tests/system/lib"))
from nodes import BUILD, World, wait  # noqa: E402

EDGE_S = 0.1  # of the measured time, left out of what nodes are asked, at both ends


class Farm:
    """workers: for each the core of its lcore; those in behind are forwarded to, the others can only be called straight."""

    def __init__(self, workers, behind, client_core=1, director_core=0, idle="adaptive", **route):
        self.world, self.client_core = World(), client_core
        routes = [{"method": m, "tags": {"role": "worker"}, "timeout": "10s", **route} for m in ("echo", "echo_stream", "sleep")]
        cluster = {"enabled": True, "tags": {"role": "director"}}
        try:
            self.director = self.world.add("director", cluster=cluster, lcores={"cores": [director_core], "idle": idle}, director={"enabled": True, "routes": routes})
            self.director.start()
            seeds = [self.director.address + ":8080"]
            self.workers = []
            for i, core in enumerate(workers):
                tags = {"role": "worker" if i in behind else "apart"}
                self.workers.append(self.world.add(f"worker{i}", cluster={"enabled": True, "tags": tags, "seeds": seeds}, lcores={"cores": [core], "idle": idle}))
                self.workers[-1].start()
            self.client = self.world.add("client")
            if wait(15, lambda: len(self.chosen()) == len(behind)) is None:
                sys.exit("the director does not know its workers:\n" + self.director.log())
        except BaseException:
            self.world.close()
            raise

    def chosen(self):
        answer = self.director.ctl("route", "echo")
        return answer["workers"] if answer else []

    def close(self):
        self.world.close()

    def bench(self, to, *args):
        """rpcnet-bench's arguments as a command, from the client's namespace and core."""
        return ["nsenter", "-n", "-t", str(self.client.holder.pid), "taskset", "-c", str(self.client_core), f"{BUILD}/tools/bench/rpcnet-bench", args[0],
                f"{to.address}:8080", *args[1:], "--ca", os.path.join(self.world.work, "tls/node.crt"), "--quiet", "--json"]

    def measure(self, to, watched, warmup_s, seconds, *args):
        """rpcnet-bench's result, and what each node of watched did meanwhile: its share of a core, and of time in turns that found work."""
        samples = []

        def sample():
            samples.append([(time.monotonic(), cpu_s(pids), stats(n)) for n, pids in zip(watched, all_pids)])

        all_pids = [processes(n) for n in watched]
        timers = [threading.Timer(warmup_s + EDGE_S, sample), threading.Timer(warmup_s + seconds - EDGE_S, sample)]
        for t in timers:
            t.start()
        p = subprocess.run(self.bench(to, *args, "--duration", str(seconds), "--warmup", str(warmup_s)), capture_output=True, text=True, check=False)
        for t in timers:
            t.join()
        if not p.stdout.startswith("{"):
            sys.exit(f"rpcnet-bench ended with {p.returncode}: {p.stderr}")
        return json.loads(p.stdout), [used(a, b) for a, b in zip(*samples)]

    def hops(self, to, seconds, *args):
        """A run as the bridge sees it: rpcnet-bench's result, datagrams a second, and the times in us between a datagram's coming from somebody and the next one's from
        whom it went to, by (from, to, to). tcpdump takes its part of both cores."""
        names = {n.address: n.name for n in [self.director, self.client, *self.workers]}
        capture = os.path.join(self.world.work, "pcap")
        dump = subprocess.Popen(["nsenter", "-n", "-t", str(self.world.holder.pid), "tcpdump", "-Z", "root", "-i", "any", "-y", "LINUX_SLL2", "-s", "80", "-B", "65536",
                                 "--time-stamp-precision=nano", "-w", capture, "udp", "port", "8080"], stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        result, _ = self.measure(to, [], 0.5, seconds, *args)
        time.sleep(0.3)
        dump.terminate()
        dump.wait()
        with open(capture, "rb") as f:
            seen = list(datagrams(f.read(), names))
        began = next(t for t, a, _ in seen if a == "client") + int(0.6e9)  # the handshake and the warm-up are over
        seen = [d for d in seen if began <= d[0] <= began + int((seconds - 0.2) * 1e9)]
        times = {}
        for (t0, a, b), (t1, c, d) in zip(seen, seen[1:]):
            if b == c:
                times.setdefault((a, b, d), []).append((t1 - t0) / 1e3)
        return result, len(seen) / (seconds - 0.2), times


def datagrams(capture, names):
    """(ns, from, to) of each datagram that came to the bridge, of those that take part in calls."""
    at = 24
    while at + 16 <= len(capture):
        s, ns, size, _ = struct.unpack_from("<IIII", capture, at)
        packet = capture[at + 16:at + 16 + size]
        at += 16 + size
        ip = packet[20:]
        if len(ip) >= 20 and packet[10] != 4 and ip[0] >> 4 == 4:  # 4: on its way out again
            yield s * 10**9 + ns, *(names.get(".".join(map(str, ip[o:o + 4])), "?") for o in (12, 16))


def processes(node):
    status = node.ctl("status")
    return [status[part]["pid"] for part in ("dataplane", "control", "rpcnetd")]


def stats(node):
    return node.ctl("stats")["lcores"][0]["metrics"]


def used(before, after):
    (t0, (user0, sys0), stats0), (t1, (user1, sys1), stats1) = before, after
    took = t1 - t0
    return {"cpu": (user1 - user0 + sys1 - sys0) / took, "busy": (stats1["lcore"]["busy_ns"] - stats0["lcore"]["busy_ns"]) / 1e9 / took,
            "sleeps_per_s": (stats1["lcore"]["sleeps"] - stats0["lcore"]["sleeps"]) / took,
            "forward": {k: stats1["forward"][k] - v for k, v in stats0.get("forward", {}).items() if k in stats1.get("forward", {})}}
