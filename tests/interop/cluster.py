#!/usr/bin/env python3
"""Clusters of the published crate's nodes and of ours: who joins, is chosen, falls ill, comes back, leaves."""

import argparse
import concurrent.futures
import fnmatch
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from types import SimpleNamespace

import gossip_probe
from cluster_world import Failed, World, check, until

CASES = []
SOON_S = 3.0  # for a director of ours to notice, at default intervals
SLOW_S = 30.0  # for the published one, where only it is to blame
PARTS = ["director", "worker1", "worker2", "worker3", "node"]
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def case(shows, parts, limit_s=120, long=False, mixed=False):
    """Registers a function of (world) as a case. parts: those that it has, of PARTS. long: only with --long. mixed: needs one of ours among `parts`."""

    def register(run):
        CASES.append(SimpleNamespace(name=run.__name__, shows=shows, parts=parts.split(), limit_s=limit_s, long=long, mixed=mixed, run=run))
        return run

    return register


def limit(world):
    """How fast the director has to be: the published one, beside nodes of ours, is as fast as it is."""
    return SOON_S if world.is_ours("director") or not world.options.ours else SLOW_S


def in_time(world, what, seconds):
    world.report(f"{what} after {seconds:.1f} s")
    check(seconds <= limit(world), f"{what} after {seconds:.1f} s")


def pool(world, count=3, **options):
    """A director, `count` workers, all of them selected and in touch with it, and who asks for them."""
    director = world.director(**options)
    workers = world.workers(count, [director])
    sampler = world.sampler(director)
    for worker in workers:
        sampler.wait_for(worker.addr, 20, since=0.0)
    if not director.is_ours:
        # It pings one of those it knows a second, by chance. Whom it never pinged it has no connection to that could be stuck.
        until(lambda: director.stats()["connections"] >= count, 60, "the director has pinged each worker")
    return director, workers, sampler


def entry_of(part, of):
    """What `part` holds of another member: by its id, or where that is not known yet by its address. None where there is nothing."""
    members = part.members()
    return members.get(of.id) or next((m for m in members.values() if m["addr"] == of.addr), None)


def state_of(part, of):
    return (entry_of(part, of) or {"state": "unknown"})["state"]


def tags_of(part, of):
    return part.members().get(of.id, {}).get("tags", {})


def alive_share(world, watcher, of, seconds):
    """Share of samples, one a second, in which the watcher holds the other alive."""
    samples = []
    for _ in range(int(seconds)):
        samples.append(state_of(watcher, of))
        time.sleep(1)
    share = samples.count("alive") / len(samples)
    world.report(f"{watcher.name} held {of.name} alive in {share * 100:.0f} % of {len(samples)} samples")
    return share


def check_pools(members, looks=6):
    """No published member has a connection that is in use at each of that many looks, a second apart: an entry that was never released."""
    published = [m for m in members if not m.is_ours]
    stuck = {m.name for m in published}
    for _ in range(looks):
        stuck -= {m.name for m in published if m.stats()["in_use"] == 0}
        time.sleep(1)
    check(not stuck, f"a pool entry is stuck at {', '.join(sorted(stuck))}")


# ---- who joins ----


@case("three workers join at once: each is selected within 3 s of its first word, with its address and tags", "director worker1 worker2 worker3")
def join(world):
    director = world.director()
    sampler = world.sampler(director)
    workers = world.workers(3, [director])
    slow = []
    for worker in workers:
        ping = worker.first_ping(20)
        seen = sampler.wait_for(worker.addr, 20, since=0.0)
        world.report(f"{worker.name} selected {seen - worker.ready_at:.1f} s after it was ready, {seen - ping:.1f} s after its first ping")
        slow += [worker.name] * (seen - ping > SOON_S)
        tags = tags_of(director, worker)
        check(tags.get("role") == "worker" and tags.get("label") == worker.name, f"{worker.name} has the tags {tags}")
        check(director.members()[worker.id]["addr"] == worker.addr, f"{director.members()[worker.id]}")
    check(director.worker_ids() == {w.id for w in workers}, f"the registry has {director.worker_ids()}")
    check(not slow, f"{', '.join(slow)} later than {SOON_S} s after the first ping")


@case("get_worker names address and label, keeps the connection's id, makes one where there is none", "director worker1")
def get_worker(world):
    _, (worker,), sampler = pool(world, 1)
    ask = sampler.program
    answer = ask.ask("get_worker", "conn-7")
    want = {"success": True, "worker_addr": worker.addr, "worker_label": worker.id, "connection_id": "conn-7", "message": None}
    check(answer == want, f"{answer}")
    made = {ask.ask("get_worker")["connection_id"] for _ in range(5)}
    uuid4 = r"conn-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    check(len(made) == 5 and all(re.fullmatch(uuid4, one) for one in made), f"{made}")


@case("without a worker get_worker says so, at once and without an error", "director")
def no_worker(world):
    ask = world.client("ask", world.director())
    ask.ask("get_worker", "first")  # connects
    start = time.monotonic()
    answer = ask.ask("get_worker", "conn-8")
    took = time.monotonic() - start
    want = {"success": False, "worker_addr": None, "worker_label": None, "connection_id": "conn-8", "message": "No workers available"}
    check(answer == want, f"{answer}")
    check(took < 0.2, f"after {took:.2f} s")


@case("a worker bound to the wildcard address is selected by the address that its packets come from", "director")
def bind_any(world):
    director = world.director()
    sampler = world.sampler(director)
    worker = world.part("worker1", "worker", real=True, seeds=[director], bind_any=True)
    sampler.wait_for(worker.addr, 10, since=0.0)


@case("director and worker with IPv6 addresses alone", "director worker1")
def ipv6(world):
    director = world.director(ip6=True)
    worker = world.worker(1, [director], ip6=True)
    sampler = world.sampler(director)
    seen = sampler.wait_for(worker.addr, 20, since=0.0)
    in_time(world, "selected", seen - worker.first_ping(1))


# ---- who falls ill and comes back ----


def ill_and_back(world, make_ill, make_well):
    director, workers, sampler = pool(world)
    stopped = time.monotonic()
    make_ill(workers[0])
    gone = sampler.wait_gone(workers[0].addr, SLOW_S) - stopped
    others = sampler.counts(time.monotonic() - 1.0)
    check(all(others.get(w.addr) for w in workers[1:]), f"answers while one is ill: {others}")
    well = time.monotonic()
    make_well(workers[0])
    back = sampler.wait_for(workers[0].addr, SLOW_S) - well
    world.report(f"back after {back:.1f} s")
    in_time(world, "not selected", gone)
    check(back <= 2 * limit(world), f"back after {back:.1f} s")
    return director, workers, sampler


@case("a worker that stops to answer is not selected within 3 s, and is again once it answers", "director worker1 worker2 worker3", limit_s=180)
def heartbeats(world):
    ill_and_back(world, lambda w: w.stop_heartbeats(), lambda w: w.resume_heartbeats())


@case("a worker that is frozen (SIGSTOP) for as long as it takes to notice comes back", "director worker1 worker2 worker3", limit_s=180)
def frozen(world):
    ill_and_back(world, lambda w: w.freeze(), lambda w: w.thaw())


@case("a worker that is cut off from the network for as long as it takes to notice comes back", "director worker1 worker2 worker3", limit_s=180)
def cut_off(world):
    ill_and_back(world, lambda w: w.place.cut(), lambda w: w.place.mend())


def killed_and_back(world, watch_s):
    director, workers, sampler = pool(world)
    killed = time.monotonic()
    workers[0].kill()
    gone = sampler.wait_gone(workers[0].addr, SLOW_S) - killed
    workers[0].start()
    back = sampler.wait_for(workers[0].addr, SLOW_S) - workers[0].ready_at
    world.report(f"back after {back:.1f} s")
    share = alive_share(world, director, workers[0], watch_s)
    in_time(world, "not selected", gone)
    # A published director's pool entry for it is stuck from the kill on; a node of ours has to make up for that.
    least = 0.8 if workers[0].is_ours and not director.is_ours else 0.95
    check(share >= least, f"alive in {share * 100:.0f} % of the samples after it came back")
    check(sampler.last(workers[0].addr) > time.monotonic() - 2, "not selected at the end")


@case("a worker that is killed is not selected within 3 s; restarted at its address it is, and stays so", "director worker1 worker2 worker3", limit_s=180)
def kill_restart(world):
    killed_and_back(world, 20)


@case("the same, watched for 10 minutes", "director worker1 worker2 worker3", limit_s=720, long=True)
def kill_restart_long(world):
    killed_and_back(world, 600)


@case("a worker that leaves is not selected within 3 s, and stays away though it is pinged on", "director worker1 worker2 worker3")
def leave(world):
    director, workers, sampler = pool(world)
    left = time.monotonic()
    workers[0].leave()
    gone = sampler.wait_gone(workers[0].addr, SLOW_S) - left
    seen_after = sampler.wait_gone(workers[0].addr, 1)
    time.sleep(12)
    check(sampler.last(workers[0].addr) == seen_after, "selected again")
    world.report(f"the director holds it {state_of(director, workers[0])}")
    in_time(world, "not selected", gone)


@case("the director is killed and started again: it selects all workers as before", "director worker1 worker2 worker3", limit_s=150)
def director_restart(world):
    director, workers, sampler = pool(world)
    director.kill()
    time.sleep(3)
    director.start()
    sampler.end()
    sampler = world.sampler(director)
    for worker in workers:
        sampler.wait_for(worker.addr, 20, since=director.ready_at)
    in_time(world, "all selected", max(sampler.first(w.addr, director.ready_at) for w in workers) - director.ready_at)


@case("a tag's new value reaches the director; who is no longer role=worker is not selected", "director worker1 worker2 worker3")
def tags(world):
    director, workers, sampler = pool(world)
    workers[0].tag("zone", "b")
    _, took = until(lambda: tags_of(director, workers[0]).get("zone") == "b", SLOW_S, "zone=b at the director")
    told = time.monotonic()
    workers[0].tag("role", "idle")
    gone = sampler.wait_gone(workers[0].addr, SLOW_S) - told
    kept = tags_of(director, workers[0])
    check(kept == {"role": "idle", "label": workers[0].name, "zone": "b"}, f"{kept}")
    in_time(world, "tag known", took)
    in_time(world, "not selected", gone)


def stays_alive(world, seconds):
    director, workers, sampler = pool(world)
    start, shares = time.monotonic(), []
    watches = [threading.Thread(target=lambda w=w: shares.append(alive_share(world, director, w, seconds))) for w in workers]
    watches += [threading.Thread(target=lambda w=w: shares.append(alive_share(world, w, director, seconds))) for w in workers]
    for watch in watches:
        watch.start()
    for watch in watches:
        watch.join()
    check(len(shares) == len(watches), "a member could not be asked")
    check(min(shares) == 1.0, "somebody was held for suspect")
    check_pools([director, *workers])
    counts = sampler.counts(start)
    check(None not in counts and all(counts.get(w.addr) for w in workers), f"answers: {counts}")


@case("director and three workers: nobody suspects anybody, no pool entry is stuck", "director worker1 worker2 worker3", limit_s=180)
def stays(world):
    stays_alive(world, 40)


@case("the same for 10 minutes", "director worker1 worker2 worker3", limit_s=720, long=True)
def stays_long(world):
    stays_alive(world, 600)


# ---- what only a node of ours has ----


def child_killed(world, name, seconds, share, count):
    """A process of each node of ours is killed, and killed again; what the published nodes that ping it hold of it."""
    director, workers, sampler = pool(world)
    ours = [m for m in [director, *workers] if m.is_ours]
    check(ours, "nobody here is ours")
    shares = []

    def watch(watcher, of):
        shares.append(alive_share(world, watcher, of, seconds))

    watches = [(director, w) for w in workers] + [(w, director) for w in workers]
    threads = [threading.Thread(target=watch, args=pair) for pair in watches if pair[1].is_ours and not pair[0].is_ours]
    for thread in threads:
        thread.start()
    for _ in range(count):
        for node in ours:
            node.kill_child(name)
        time.sleep(seconds / count)
    for thread in threads:
        thread.join()
    check(len(shares) == len(threads) and min(shares) >= share, f"alive in {min(shares) * 100:.0f} % of the samples")
    for worker in workers:
        sampler.wait_for(worker.addr, 10)
    return director, workers


def control_killed(world, seconds, count):
    director, workers = child_killed(world, "rpcnet-control", seconds, 0.99, count)
    check_pools([director, *workers])


@case("our control process is killed twice: nobody takes the node for suspect, no pool entry is stuck", "director worker1 worker2 worker3", limit_s=180, mixed=True)
def our_control_killed(world):
    control_killed(world, 40, 2)


@case("the same within 10 minutes", "director worker1 worker2 worker3", limit_s=720, long=True, mixed=True)
def our_control_killed_long(world):
    control_killed(world, 600, 3)


@case("our data plane is killed: published nodes hold us alive in 80 % of samples", "director worker1 worker2 worker3", limit_s=180, mixed=True)
def our_dataplane_killed(world):
    child_killed(world, "rpcnet-dataplane", 40, 0.8, 1)


@case("the same over 10 minutes", "director worker1 worker2 worker3", limit_s=720, long=True, mixed=True)
def our_dataplane_killed_long(world):
    child_killed(world, "rpcnet-dataplane", 600, 0.8, 1)


# ---- several nodes ----


@case("tags of nodes that never met: all know the node in the middle alone", "node")
def relay(world):
    middle = world.part("node", "node")
    workers = world.workers(3, [middle])
    for a in workers:
        for b in workers:
            if a is not b:
                _, took = until(lambda a=a, b=b: tags_of(a, b).get("label") == b.name, 10, f"{a.name} knows the tags of {b.name}")
    workers[2].tag("zone", "c")
    _, took = until(lambda: all(tags_of(w, workers[2]).get("zone") == "c" for w in workers[:2]), 10, "both know the new tag of the third")
    world.report(f"a new tag is known by all after {took:.1f} s")


@case("a node that one member cannot reach is reached for it by another (PingReq): it stays alive there", "node")
def indirect(world):
    helper = world.part("node", "node")
    one = world.worker(1, [helper])
    two = world.worker(2, [one])
    until(lambda: state_of(one, two) == state_of(one, helper) == "alive", 20, "worker1 knows both others")
    one.place.part_from(two.place)
    share = alive_share(world, one, two, 25)
    check(share >= 0.8, f"alive in {share * 100:.0f} % of the samples")


def after_parting(world, seconds):
    node = world.part("node", "node")
    one, two = world.workers(2, [node])
    until(lambda: state_of(one, node) == "alive", 20, "worker1 knows the node")
    one.place.part_from(node.place)
    until(lambda: state_of(one, node) == "suspect", 20, "worker1 suspects the node")
    one.place.meet(node.place)
    share = alive_share(world, one, node, seconds)
    check(share >= 0.8, f"alive in {share * 100:.0f} % of the samples")
    check(state_of(two, node) == "alive", f"the other worker holds it {state_of(two, node)}")


@case("two members that could not reach each other hold each other alive again, in 80 % of samples", "worker1 node", limit_s=150)
def parted(world):
    after_parting(world, 25)


@case("the same over 10 minutes", "worker1 node", limit_s=720, long=True)
def parted_long(world):
    after_parting(world, 600)


@case("members that hold a node for suspect without cause hold it alive again", "node")
def refuted(world):
    accused = world.part("node", "node")
    workers = world.workers(3, [accused])
    for worker in workers:
        until(lambda w=worker: worker.id in accused.members(), 20, f"the node knows {worker.name}")
    for worker in workers:
        if not worker.is_ours:
            worker.ask("suspect", entry_of(worker, accused)["id"])
            check(state_of(worker, accused) == "suspect", "not suspected")
    _, took = until(lambda: all(state_of(w, accused) == "alive" for w in workers), 15, "all hold it alive")
    world.report(f"held alive by all after {took:.1f} s")


# ---- the client of the director ----


@case("a client gets ten tokens", "director worker1")
def client_tokens(world):
    director, _, _ = pool(world, 1)
    client = world.client("client", director, "--tokens", 10)
    _, done = client.event("done", 20)
    tokens = [line for _, line in client.events("token")]
    texts = [f"[worker1] processed: prompt {i}" for i in range(10)]
    check([t["text"] for t in tokens] == texts and all(t["sequence"] == 0 for t in tokens), f"{tokens}")
    check(done["workers"] == {"worker1": 10} and len(client.events("connected")) == 1, f"{done}")


def fails_over(world, make_ill, limit_s):
    director, workers, _ = pool(world)
    client = world.client("client", director, "--tokens", 20)
    _, first = client.event("token", 10, count=4)
    ill = next(w for w in workers if w.id == first["label"])
    now = time.monotonic()
    make_ill(ill)
    client.event("failed", 15, now)
    again, token = client.event("token", 30, client.events("failed", now)[0][0])
    client.event("done", 60)
    gap = again - max(t for t, _ in client.events("token") if t < again)
    world.report(f"{gap:.1f} s without a token, {len(client.events('failed', now))} failures, then from {token['label']}")
    check(token["label"] != ill.id, "tokens from the one that failed")
    check(gap <= limit_s, f"{gap:.1f} s without a token")


@case("its worker is killed: the client gets the rest from another", "director worker1 worker2 worker3", limit_s=150)
def client_killed_worker(world):
    # The published client takes a stream for dead when nothing came for 3 s; a dead worker may be named again until the director notices,
    # and to dial it costs 5 s.
    fails_over(world, lambda w: w.kill(), 4.0 + 5.5 * 3 if not world.is_ours("director") else 10.0)


@case("its worker says that it failed and stops to answer pings: the client gets the rest from another", "director", limit_s=150)
def client_failing_worker(world):
    def fail(worker):
        worker.ask("fail")
        worker.stop_heartbeats()

    fails_over(world, fail, 15.0)


@case("no worker yet: the client asks again until there is one", "director worker1")
def client_retries(world):
    director = world.director()
    client = world.client("client", director, "--tokens", 3)
    client.event("none", 5, count=3)
    check(client.events("none")[0][1]["message"] == "No workers available", f"{client.events('none')[0]}")
    world.worker(1, [director])
    client.event("done", 30)


# ---- ClusterClient: the published crate's, with workers of either kind ----


def caller(world, strategy):
    """A published node with a ClusterClient, who is the workers' seed, and three workers."""
    calls = world.part("caller", "node", real=True, period_ms=300)
    calls.kill()
    calls.args += ["--strategy", strategy]
    calls.start()
    workers = world.workers(3, [calls])
    until(lambda: calls.worker_ids() == {w.id for w in workers}, 20, "three workers in the registry")
    for _ in range(6):
        calls.ask("call", "echo", "warm-up")
    return calls, workers, [w.calls() for w in workers]


def spread(workers, before):
    return [w.calls() - b for w, b in zip(workers, before, strict=True)]


@case("round robin: 300 selections are 100 each, 30 calls are 10 each", "worker1 worker2 worker3")
def round_robin(world):
    calls, workers, before = caller(world, "round_robin")
    chosen = [calls.ask("select")["id"] for _ in range(300)]
    counts = [chosen.count(w.id) for w in workers]
    check(counts == [100, 100, 100], f"selections {counts}")
    for i in range(30):
        check(calls.ask("call", "echo", f"call-{i}") == {"ok": f"call-{i}"}, f"call {i}")
    check(spread(workers, before) == [10, 10, 10], f"calls {spread(workers, before)}")


@case("random: of 300 selections each gets 60 to 140", "worker1 worker2 worker3")
def random(world):
    calls, workers, _ = caller(world, "random")
    chosen = [calls.ask("select")["id"] for _ in range(300)]
    counts = [chosen.count(w.id) for w in workers]
    check(sum(counts) == 300 and 60 <= min(counts) and max(counts) <= 140, f"selections {counts}")


@case("least connections: of 30 calls that take a second, all at once, each gets 10", "worker1 worker2 worker3")
def least_connections(world):
    calls, workers, _ = caller(world, "least_connections")
    for worker in workers:
        calls.ask("call", "echo", "warm-up", f"label={worker.name}")
    before = [w.calls() for w in workers]
    second = (1000).to_bytes(8, "little").hex()
    with calls.asking:
        for _ in range(30):
            calls.send("call", "sleep", f"0x{second}")
            time.sleep(0.02)
        for _ in range(30):
            reply = calls.replies.get(timeout=10)
            check("ok" in reply.get("value", {}), f"{reply}")
    check(spread(workers, before) == [10, 10, 10], f"calls {spread(workers, before)}")


@case("a filter by tag chooses the one that has it; without any there is an error", "worker1 worker2 worker3")
def tag_filter(world):
    calls, workers, before = caller(world, "round_robin")
    for _ in range(10):
        check(calls.ask("call", "echo", "x", "role=worker", "label=worker2") == {"ok": "x"}, "no echo")
    check(spread(workers, before) == [0, 10, 0], f"calls {spread(workers, before)}")
    answer = calls.ask("call", "echo", "x", "label=nobody")
    check(answer == {"error": "Connection error: No available workers"}, f"{answer}")


@case("call_all_workers: an answer from each", "worker1 worker2 worker3")
def call_all(world):
    calls, workers, before = caller(world, "round_robin")
    check(calls.ask("call_all", "echo", "all") == [{"ok": "all"}] * 3, "not three echoes")
    check(calls.ask("call_all", "echo", "one", "label=worker3") == [{"ok": "one"}], "not one echo")
    unknown = calls.ask("call_all", "nobody.home", "x")
    check(unknown == [{"error": "Stream error: Unknown method: nobody.home"}] * 3, f"{unknown}")
    check(spread(workers, before) == [1, 1, 2], f"calls {spread(workers, before)}")


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
        epilog="Parts: director, worker1, worker2, worker3, node; workers and all stand for several. With --ours only the cases run that have\n"
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
    if not cases:
        parser.error(f"no case {args.cases} has a part of {sorted(ours) or 'the published crate'}")
    with tempfile.TemporaryDirectory(prefix="cluster-certs-") as made:
        os.chmod(made, 0o755)
        if not args.certs:
            check(os.system(f"{ROOT}/tools/certs {made} 2>/dev/null") == 0, "tools/certs failed")
        options = SimpleNamespace(ours=ours, certs=args.certs or made, program=args.program, build=args.build, logs=args.logs, verbose=args.verbose)
        with concurrent.futures.ThreadPoolExecutor(args.jobs or (4 if ours else 8)) as jobs:
            return 0 if all(list(jobs.map(lambda c: run(c, options), cases))) else 1


if __name__ == "__main__":
    sys.exit(main())
