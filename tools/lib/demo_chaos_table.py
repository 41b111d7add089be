"""Makes the table of tools/demo --chaos from the files in a folder, and demo.json beside them."""
import json
import sys

work = sys.argv[1]


def total(stats, name):
    return sum(lcore["metrics"]["forward"][name] for lcore in stats["lcores"])


with open(f"{work}/seconds.jsonl", encoding="utf-8") as f:
    samples = [json.loads(line) for line in f]
with open(f"{work}/events", encoding="utf-8") as f:
    events = [(float(at), what.strip()) for at, what in (line.split(" ", 1) for line in f)]
with open(f"{work}/load.json", encoding="utf-8") as f:
    load = json.load(f)

# From the first second with calls to the last.
pairs = [(a, b) for a, b in zip(samples, samples[1:]) if total(b["stats"], "answered") > total(a["stats"], "answered")]
begin = pairs[0][0]["t"]
rows = []
print(f"\n{'second':>8}{'RPC/s':>10}{'errors':>8}{'tried again':>13}{'workers':>9}")
for a, b in pairs:
    took = b["t"] - a["t"]
    row = {
        "second": round(b["t"] - begin, 1),
        "rps": round((total(b["stats"], "answered") - total(a["stats"], "answered")) / took),
        "errors": total(b["stats"], "errors") - total(a["stats"], "errors"),
        "retries": total(b["stats"], "retries") - total(a["stats"], "retries"),
        "workers": len(b["workers"]["workers"]),
    }
    rows.append(row)
    said = "; ".join(f"{what} ({at - begin:.1f} s)" for at, what in events if a["t"] <= at < b["t"])
    print(f"{row['second']:>8.1f}{row['rps']:>10,}{row['errors']:>8}{row['retries']:>13,}{row['workers']:>9}  {said}".rstrip())
print(
    f"\nthe client: {load['calls']:,} calls, {load['errors']} errors, {load['rps']:,.0f} RPC/s,"
    f" p50 {load['p50_us'] / 1e3:.1f} ms, p99 {load['p99_us'] / 1e3:.1f} ms, p99.9 {load['p999_us'] / 1e3:.1f} ms, max {load['max_us'] / 1e3:.1f} ms"
)
with open(f"{work}/demo.json", "w", encoding="utf-8") as f:
    kept = ("calls", "rps", "p50_us", "p99_us", "p999_us", "max_us", "errors")
    json.dump({"seconds": rows, "events": [{"second": round(at - begin, 1), "what": what} for at, what in events], "client": {k: load[k] for k in kept}}, f, indent=2)
    f.write("\n")
