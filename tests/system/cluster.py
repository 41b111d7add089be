#!/usr/bin/env python3
"""usage: tests/system/cluster.py [--long] [CASE...]

Clusters of real nodes, each in a network namespace of its own: who sees whom, what a director does while its workers die, freeze, are cut off, drained and
joined, and how a node ends. --long: 20,000 calls a second for 60 s instead of 2,000 for 32 s.

Prints "ok NAME" or "not ok NAME: why" lines, and what was measured after "#".

example: tests/system/cluster.py faults_idempotent
"""
import argparse
import fnmatch
import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
os.chdir(ROOT)
if not os.environ.get("RPCNET_IN_ENV"):
    os.execv("tools/in-env", ["tools/in-env", "tests/system/cluster.py", *sys.argv[1:]])
sys.path.insert(0, "tests/system/lib")
from nodes import BUILD, World, wait  # noqa: E402

CASES = []


def case(function):
    CASES.append(function)
    return function


class Failed(Exception):
    pass


def check(condition, why):
    if not condition:
        raise Failed(why)


def soon(seconds, what, condition):
    """How long it took."""
    took = wait(seconds, condition)
    check(took is not None, f"not within {seconds} s: {what}")
    return took


def note(text):
    print(f"# {text}")


# ---- nodes ----


def start(world, name, seeds=(), role="worker", **sections):
    cluster = {"enabled": True, "tags": {"role": role}, "seeds": [n.address + ":8080" for n in seeds]}
    node = world.add(name, cluster={**cluster, **sections.pop("cluster", {})}, **sections)
    node.start()
    return node


def all_see(nodes, state="alive"):
    return all(a.sees(b, state) for a in nodes for b in nodes if a is not b)


def three(world):
    nodes = [start(world, "n0")]
    nodes += [start(world, f"n{i}", nodes[:1]) for i in (1, 2)]
    soon(10, "all know all", lambda: all_see(nodes))
    return nodes


def director(world, workers, **route):
    routes = [{"method": "echo", "tags": {"role": "worker"}, "timeout": "10s", **route}]
    first = start(world, "director", role="director", director={"enabled": True, "routes": routes})
    nodes = [start(world, f"w{i}", [first]) for i in range(workers)]
    soon(15, "the director knows its workers", lambda: len(workers_of(first)) == workers)
    return first, nodes


def workers_of(node):
    answer = node.ctl("route", "echo")
    return [w["id"] for w in answer["workers"]] if answer else []


def client(world, to, seconds, rate, method="echo", timeout=12):
    """rpcnet-bench in a namespace of its own, under way; its result when it is done."""
    place = getattr(world, "client", None) or world.add("client")
    world.client = place
    command = ["nsenter", "-n", "-t", str(place.holder.pid), f"{BUILD}/tools/bench/rpcnet-bench", "load", f"{to.address}:8080", "--rate", str(rate),
               "--duration", str(seconds), "--connections", "4", "--method", method, "--timeout", str(timeout), "--warmup", "1", "--json", "--quiet"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def result(process):
    out, err = process.communicate(timeout=180)
    check(process.returncode in (0, 1) and out.strip().startswith("{"), f"rpcnet-bench ended with {process.returncode}: {err[-300:]}")
    return json.loads(out)


def ask(world, to, method, text):
    """One call: what tests/system/ask prints."""
    place = getattr(world, "client", None) or world.add("client")
    world.client = place
    done = subprocess.run(["nsenter", "-n", "-t", str(place.holder.pid), f"{BUILD}/tests/system/ask", f"{to.address}:8080", method, text],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=70)
    check(done.stdout.startswith("{"), f"ask: {done.returncode} {done.stderr[-300:]}")
    return json.loads(done.stdout)


def from_each(answer):
    """id -> ("ok", bytes) or ("error", text), of the answer to a call to every worker: Vec<(String, Result<Vec<u8>, String>)>."""
    check("ok" in answer, f"no answer but {answer}")
    octets, at = bytes.fromhex(answer["ok"]), 0

    def take(count):
        nonlocal at
        check(at + count <= len(octets), f"ends at {len(octets)}")
        at += count
        return octets[at - count:at]

    def number(size=8):
        return int.from_bytes(take(size), "little")

    found = {}
    for _ in range(number()):
        name = take(number()).decode()
        tag, value = number(4), take(number())
        check(tag <= 1 and name not in found, f"{name}: {tag}")
        found[name] = ("error", value.decode()) if tag else ("ok", value)
    check(at == len(octets), f"{len(octets) - at} octets more")
    return found


def total(node, group, name):
    stats = {}

    def asked():
        stats.update(node.ctl("stats") or {})
        return stats.get("lcores")

    soon(5, f"{node.name} says what it counted", asked)
    return sum(lcore["metrics"][group][name] for lcore in stats["lcores"])


# ---- membership ----


@case
def members_come_and_go(world):
    """Joined by one seed; a dead one is suspect within 3 s; back; drained; known again after a restart of control."""
    a, b, c = three(world)
    c.kill()
    note(f"suspect after {soon(3, 'a dead node is suspect', lambda: a.sees(c, 'suspect') or a.sees(c, 'failed')):.1f} s")
    note(f"failed after {soon(20, 'and has failed', lambda: a.sees(c, 'failed')):.1f} s more")
    c.start()
    note(f"back after {soon(5, 'and is back', lambda: a.sees(c, 'alive') and b.sees(c, 'alive')):.1f} s")
    check(b.ctl("tag", "set", "zone", "z1") is not None, "no tag")
    soon(3, "a tag is known", lambda: a.members()[b.id]["tags"].get("zone") == "z1")
    check(b.ctl("tag", "unset", "zone") is not None, "no tag to unset")
    soon(3, "and known to be gone", lambda: "zone" not in a.members()[b.id]["tags"])
    names = [e["event"] for e in a.ctl_lines("events")]
    for name in ("joined", "suspected", "failed", "recovered", "tags_updated"):
        check(name in names, f"no event {name} in {names}")
    check(b.ctl("leave") is not None, "no leave")
    soon(3, "who left is known", lambda: a.sees(b, "left"))


@case
def control_comes_back(world):
    """Control dies: nobody holds the node for suspect; it knows its cluster again from the state file, seeds or not."""
    a, b, c = three(world)
    b.stop()
    b.configure(cluster={**b.options["cluster"], "state_file": os.path.join(b.directory, "members.json")})
    b.start()
    soon(10, "all know all", lambda: all_see([a, b, c]))
    soon(5, "the state is on the disk", lambda: os.path.exists(os.path.join(b.directory, "members.json")))
    b.configure(cluster={**b.options["cluster"], "seeds": []})
    os.kill(b.pids()["control"], signal.SIGKILL)
    note(f"knows all after {soon(5, 'it knows its cluster', lambda: b.sees(a, 'alive') and b.sees(c, 'alive')):.1f} s")
    check(a.sees(b, "alive") and c.sees(b, "alive"), "held for suspect meanwhile")
    check("suspected" not in [e["event"] for e in a.ctl_lines("events") if e["id"] == b.id], "was held for suspect")
    own = total(b, "gossip", "own_acks") + total(b, "gossip", "answers")
    check(own > 0, "answered nobody")
    with open(os.path.join(b.directory, "members.json"), "r+b") as f:
        f.write(b"damaged")
    os.kill(b.pids()["control"], signal.SIGKILL)
    soon(5, "a damaged file is no reason not to start", lambda: b.ctl("members") is not None)
    check("is not used" in b.log(), "nothing is said of the damage")


@case
def strangers_are_not_heard(world):
    """Clients have to show a certificate, and only that of the cluster may gossip: its nodes find each other, one with another certificate stays outside."""
    tls = os.path.join(world.work, "tls")
    other = os.path.join(world.work, "other")
    subprocess.run(["tools/certs", other], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    text = subprocess.run(["openssl", "x509", "-in", f"{tls}/node.crt", "-noout", "-fingerprint", "-sha256"], check=True, stdout=subprocess.PIPE, text=True).stdout
    with open(f"{world.work}/both.crt", "w") as both:
        both.write(open(f"{tls}/node.crt").read() + open(f"{other}/node.crt").read())
    mutual = {"ca": f"{world.work}/both.crt", "require_client_cert": True}
    allowed = {"allowed_certs": [text.strip().split("=")[1]]}
    nodes = [start(world, "n0", tls=mutual, cluster=allowed)]
    nodes.append(start(world, "n1", nodes, tls=mutual, cluster=allowed))
    soon(10, "they know each other", lambda: all_see(nodes))
    stranger = start(world, "stranger", nodes[:1], tls={**mutual, "cert": f"{other}/node.crt", "key": f"{other}/node.key"})
    soon(10, "the stranger is refused", lambda: total(nodes[0], "gossip", "forbidden") > 2)
    check(stranger.id not in nodes[0].members() and stranger.id not in nodes[1].members(), "the stranger was heard")


# ---- the end ----


@case
def drain_finishes_calls(world):
    """SIGTERM while calls last: they end well, new ones are refused, the node ends with 0."""
    node = start(world, "n0")
    soon(10, "it takes part", lambda: node.ctl("members") is not None)
    calls = client(world, node, 1, 20, method="sleep")  # params: 32 octets, of which 8 are the time: none
    result(calls)
    check(node.ctl("drain") is not None, "no drain")
    check(wait(15, lambda: node.process.poll() is not None) is not None, "does not end")
    check(node.process.returncode == 0, f"ended with {node.process.returncode}")
    node.process = None


# ---- the director ----


@case
def calls_are_spread(world):
    """Round robin over three workers, each call answered by a worker and not by the director."""
    first, nodes = director(world, 3, strategy="round_robin")
    soon(3, "a connection to each before there is a call", lambda: total(first, "pool", "conns_ready") >= 3)
    r = result(client(world, first, 3, 300))
    check(r["errors"] == 0, f"{r['errors']} errors")
    counts = [total(n, "rpc", "requests") for n in nodes]
    note(f"calls {counts}, director {total(first, 'forward', 'answered')} forwarded, p99 {r['p99_us']} us")
    check(min(counts) > 0.9 * max(counts), f"calls {counts}")
    check(total(first, "rpc", "requests") == 0, "the director answered itself")


@case
def nobody_there_is_said_at_once(world):
    """Without workers each call gets an error, at once; with the first worker calls go through."""
    first, _ = director(world, 0)
    r = result(client(world, first, 2, 100))
    check(r["errors"] > 0 and r["calls"] == 0, f"{r['calls']} calls, {r['errors']} errors")
    start(world, "late", [first])
    soon(5, "it knows the worker", lambda: len(workers_of(first)) == 1)
    r = result(client(world, first, 2, 100))
    check(r["errors"] == 0, f"{r['errors']} errors")


@case
def call_all_asks_everybody(world):
    """A call to every worker brings an answer from each; a dead one is an error within the route's time, and the others answer. Other methods are forwarded."""
    every = [{"method": "echo", "call_all": True, "timeout": "2s"}, {"method": "rev*"}]
    first = start(world, "director", role="director", director={"enabled": True, "routes": every})
    check(ask(world, first, "echo", "x").get("error", "").endswith("No workers available"), "an answer without workers")
    nodes = [start(world, f"w{i}", [first]) for i in range(3)]
    soon(15, "the director knows its workers", lambda: len(workers_of(first)) == 3)
    check(first.ctl("route", "echo")["strategy"] == "call_all", "another strategy")
    answer = ask(world, first, "echo", "hello")
    note(f"three answers after {answer['ms']} ms")
    check(from_each(answer) == {n.id: ("ok", b"hello") for n in nodes}, f"{from_each(answer)}")
    check(list(from_each(answer)) == workers_of(first), "another order than that of the snapshot")
    check(ask(world, first, "reverse", "hello")["ok"] == b"olleh".hex(), "not forwarded")
    nodes[1].kill()
    answer = ask(world, first, "echo", "again")
    found = from_each(answer)
    how, why = found.pop(nodes[1].id, ("error", "already known to be dead"))
    note(f"one killed: after {answer['ms']} ms, its part: {why}")
    check(how == "error" and answer["ms"] < 2500, f"{how} after {answer['ms']} ms")
    check(found == {n.id: ("ok", b"again") for n in (nodes[0], nodes[2])}, f"{found}")
    soon(15, "who is dead is a worker no more", lambda: len(workers_of(first)) == 2)
    check(len(from_each(ask(world, first, "echo", "two"))) == 2, "not two answers")
    figures = {n: total(first, "fanout", n) for n in ("calls", "answered", "asked", "good", "late", "broken", "unreached", "errors_no_worker", "in_flight", "asks")}
    note(f"director: {figures}")
    check(figures["in_flight"] == figures["asks"] == 0, "something is left")


@case
def control_that_knows_nobody_takes_nothing_away(world):
    """The director's control is killed while no other node's says anything: the lcore goes on with the workers that it was told of before."""
    first, nodes = director(world, 2)
    for n in nodes:
        os.kill(n.pids()["control"], signal.SIGSTOP)
    load = client(world, first, 9, 100)
    wait(1, lambda: False)
    os.kill(first.pids()["control"], signal.SIGKILL)
    soon(5, "control is there again", lambda: first.ctl("members") is not None)
    r = result(load)
    check(workers_of(first) == [], f"it knows {workers_of(first)}")
    check(r["errors"] == 0, f"{r['errors']} errors of {r['calls']} calls")


def faults(world, options, **route):
    """A worker killed, one frozen, one cut off, one drained, one that joins, control of the director killed: what the client saw."""
    seconds, rate = (60, 20000) if options.long else (32, 2000)
    first, nodes = director(world, 5, **route)
    load = client(world, first, seconds, rate)
    step = seconds / 8
    new = []
    actions = [
        ("killed", lambda: nodes[0].kill()),
        ("frozen", lambda: nodes[1].signal_all(signal.SIGSTOP)),
        ("cut off", lambda: world.cut_off(nodes[2])),
        ("drained", lambda: nodes[3].process.send_signal(signal.SIGTERM)),
        ("joined", lambda: new.append(start(world, "new", [first])) or soon(10, "who joined is known", lambda: new[0].id in workers_of(first))),
        ("control of the director killed", lambda: os.kill(first.pids()["control"], signal.SIGKILL)),
    ]
    failed = {}
    for what, act in actions:
        wait(step, lambda: False)
        failed[what] = total(first, "forward", "errors")
        note(f"{what}: {failed[what]} calls had failed before, workers {workers_of(first)}")
        act()
    r = result(load)
    nodes[1].signal_all(signal.SIGCONT)
    note(f"{r['calls']} calls, {r['errors']} errors, p50 {r['p50_us']} us, p99 {r['p99_us']} us, p99.9 {r['p999_us']} us, max {r['max_us']} us")
    for name in ("retries", "retry_refused", "unreached", "broken", "late", "errors", "errors_broken", "errors_timeout", "errors_no_worker"):
        note(f"director: forward.{name} {total(first, 'forward', name)}")
    check(total(first, "forward", "errors") == failed["drained"], "calls failed although their worker was not killed, frozen or cut off")
    check(total(new[0], "rpc", "requests") > 0, "who joined got no call")
    return r


@case
def faults_idempotent(world, options):
    """No error reaches the client."""
    r = faults(world, options, idempotent=True, try_timeout="250ms")
    check(r["errors"] == 0, f"{r['errors']} errors of {r['calls']} calls")


@case
def faults_once(world, options):
    """Only those that were in flight on a worker that was killed, frozen or cut off fail."""
    r = faults(world, options)
    # At most what was asked within 10 ms, for each of the three.
    check(r["errors"] <= 3 * (20000 if options.long else 2000) // 100, f"{r['errors']} errors of {r['calls']} calls")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--logs", action="store_true", help="the nodes' logs after a failure")
    parser.add_argument("case", nargs="*", default=["*"])
    options = parser.parse_args()
    failed = 0
    for one in CASES:
        if not any(fnmatch.fnmatch(one.__name__, c) for c in options.case):
            continue
        world = World()
        try:
            one(*([world, options] if one.__code__.co_argcount == 2 else [world]))
            print(f"ok {one.__name__}", flush=True)
        except Exception as why:  # noqa: BLE001 a case that stumbles has failed, the others go on
            failed += 1
            print(f"not ok {one.__name__}: {why}", flush=True)
            if not isinstance(why, Failed):
                traceback.print_exc()
            for node in world.nodes if options.logs else []:
                print(f"--- {node.name}\n" + (node.log()[-3000:] if os.path.exists(node.log_path) else ""))
        finally:
            world.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
