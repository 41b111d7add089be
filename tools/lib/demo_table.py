"""Makes the table of tools/demo from the JSON files in a folder, and demo.json beside them."""
import json
import sys

work, seconds = sys.argv[1], float(sys.argv[2])


def load(name):
    with open(f"{work}/{name}.json", encoding="utf-8") as f:
        return json.load(f)


before, after = load("before"), load("after")
runs = {"1 call at a time": load("latency"), "64 outstanding": load("throughput"), "stream, 256 ahead": load("stream")}
wall = after["dataplane"]["uptime_seconds"] - before["dataplane"]["uptime_seconds"] or seconds


def cpu_pct(name):
    """Of one core, over the main run."""
    return (after[name]["cpu_seconds"] - before[name]["cpu_seconds"]) / wall * 100


print()
print(f"{'load':<20}{'per second':>12}{'p50':>9}{'p90':>9}{'p99':>9}{'p99.9':>9}{'max':>10}{'errors':>8}   (us)")
for name, r in runs.items():
    print(
        f"{name:<20}{r['rps']:>12,.0f}{r['p50_us']:>9.1f}{r['p90_us']:>9.1f}{r['p99_us']:>9.1f}"
        f"{r['p999_us']:>9.1f}{r['max_us']:>10.1f}{r['errors']:>8}"
    )
print()
print(f"{'process':<20}{'CPU':>12}{'memory':>12}")
for label, key in (("rpcnet-dataplane", "dataplane"), ("rpcnet-control", "control"), ("rpcnetd", "rpcnetd")):
    print(f"{label:<20}{cpu_pct(key):>10.1f} %{after[key]['memory_bytes'] / 1e6:>9.1f} MB")
for lcore in after["dataplane"]["lcores"]:
    print(f"{'lcore ' + str(lcore['lcore']) + ' busy':<20}{lcore['busy_share'] * 100:>10.1f} %")
print(
    """
What to try next
  docker-compose -f docker/single.yml up -d            keep a node running at 172.28.80.10:8080
  docker exec rpcnet-node rpcnetctl stats              every counter
  docker run --rm --network rpcnet-single --entrypoint rpcnet-bench rpcnet --help
  tools/test                                           every test"""
)

main = runs["64 outstanding"]
with open(f"{work}/demo.json", "w", encoding="utf-8") as f:
    json.dump(
        {
            "rps": main["rps"],
            "p50_us": main["p50_us"],
            "p90_us": main["p90_us"],
            "p99_us": main["p99_us"],
            "p999_us": main["p999_us"],
            "max_us": main["max_us"],
            "errors": sum(r["errors"] for r in runs.values()),
            "dataplane_cpu_pct": round(cpu_pct("dataplane"), 1),
            "memory_mb": round(sum(after[k]["memory_bytes"] for k in ("dataplane", "control", "rpcnetd")) / 1e6, 1),
        },
        f,
        indent=2,
    )
    f.write("\n")
