"""Makes the tables of tools/demo from the JSON files in a folder, and demo.json beside them."""
import json
import sys

work = sys.argv[1]
WORKERS = ("worker-1", "worker-2", "worker-3")
NODES = ("director", *WORKERS)
LOADS = {"latency": "1 call at a time", "throughput": "64 outstanding", "stream": "stream, 256 ahead"}
PROCESSES = ("rpcnetd", "control", "dataplane")


def load(name):
    with open(f"{work}/{name}.json", encoding="utf-8") as f:
        return json.load(f)


def total(stats, group, name):
    return sum(lcore["metrics"][group][name] for lcore in stats["lcores"])


status = {when: {n: load(f"{when}.{n}.status") for n in NODES} for when in ("before", "after")}
stats = {when: {n: load(f"{when}.{n}.stats") for n in NODES} for when in ("before", "after")}
wall = status["after"]["director"]["dataplane"]["uptime_seconds"] - status["before"]["director"]["dataplane"]["uptime_seconds"]


def grown(node, group, name):
    return total(stats["after"][node], group, name) - total(stats["before"][node], group, name)


def cpu_pct(node, processes):
    """Of one core, over the forwarded calls with 64 outstanding."""
    return sum(status["after"][node][p]["cpu_seconds"] - status["before"][node][p]["cpu_seconds"] for p in processes) / max(wall, 1) * 100


def memory_mb(node, processes):
    return sum(status["after"][node][p]["memory_bytes"] for p in processes) / 1e6


runs = {(way, kind): load(f"{way}-{kind}") for kind in LOADS for way in ("forwarded", "straight")}
print()
print(f"{'load':<20}{'way':<12}{'RPC/s':>10}{'p50':>10}{'p99':>10}{'errors':>8}   (us; of a stream: items)")
for (way, kind), r in runs.items():
    print(f"{LOADS[kind]:<20}{way:<12}{r['rps']:>10,.0f}{r['p50_us']:>10.1f}{r['p99_us']:>10.1f}{r['errors']:>8}")

calls = {w: grown(w, "rpc", "requests") for w in WORKERS}
everything = sum(calls.values()) or 1
print(f"\n{'64 outstanding, forwarded':<32}{'calls':>10}{'share':>10}")
for w in WORKERS:
    print(f"{w:<32}{calls[w]:>10,}{calls[w] / everything * 100:>8.1f} %")
print(f"{'director, itself':<32}{grown('director', 'rpc', 'requests'):>10,}")
print(f"{'director, tried again':<32}{grown('director', 'forward', 'retries'):>10,}")

print(f"\n{'processes':<20}{'data plane CPU':>16}{'memory':>12}{'others CPU':>14}{'memory':>12}")
for n in NODES:
    print(f"{n:<20}{cpu_pct(n, ['dataplane']):>14.1f} %{memory_mb(n, ['dataplane']):>9.1f} MB"
          f"{cpu_pct(n, ['control', 'rpcnetd']):>12.1f} %{memory_mb(n, ['control', 'rpcnetd']):>9.1f} MB")

with open(f"{work}/demo.json", "w", encoding="utf-8") as f:
    kept = ("rps", "p50_us", "p90_us", "p99_us", "p999_us", "max_us", "errors")
    json.dump(
        {
            "runs": {f"{way}_{kind}": {k: r[k] for k in kept} for (way, kind), r in runs.items()},
            "calls": calls,
            "cpu_pct": {n: round(cpu_pct(n, PROCESSES), 1) for n in NODES},
            "memory_mb": {n: round(memory_mb(n, PROCESSES), 1) for n in NODES},
        },
        f,
        indent=2,
    )
    f.write("\n")
