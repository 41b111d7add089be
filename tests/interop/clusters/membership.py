"""Cases: who joins, is chosen, falls ill, comes back, leaves, and what nodes tell each other."""

import functools
import json
import re
import subprocess
import threading
import time
from types import SimpleNamespace

from .common import SLOW_S, SOON_S, alive_share, at_once, case, check_pools, entry_of, in_time, limit, pool, state_of, tags_of
from .world import check, until

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


@case("a worker whose first packets are lost joins all the same, within 5 s of the network's return", "director worker1")
def join_late(world):
    director = world.director()
    sampler = world.sampler(director)
    worker = world.worker(1, [director], start=False)
    worker.place.cut()
    worker.launch()
    time.sleep(2)
    worker.place.mend()
    there = time.monotonic()
    worker.wait_ready()
    took = sampler.wait_for(worker.addr, 20, since=there) - there
    world.report(f"selected {took:.1f} s after its network was there")
    check(took <= SOON_S + 2, f"selected after {took:.1f} s")


# ---- who falls ill and comes back ----


def ill_and_back(world, make_ill, make_well):
    director, workers, sampler = pool(world)
    stopped = time.monotonic()
    make_ill(workers[0])
    gone = sampler.wait_gone(workers[0].addr, SLOW_S) - stopped
    world.report(f"not selected after {gone:.1f} s")
    others = sampler.counts(time.monotonic() - 1.0)
    check(all(others.get(w.addr) for w in workers[1:]), f"answers while one is ill: {others}")
    well = time.monotonic()
    make_well(workers[0])
    back = sampler.wait_for(workers[0].addr, SLOW_S) - well
    world.report(f"back after {back:.1f} s")
    check(gone <= limit(world), f"not selected after {gone:.1f} s")
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
    world.report(f"not selected after {gone:.1f} s")
    workers[0].start()
    back = sampler.wait_for(workers[0].addr, SLOW_S) - workers[0].ready_at
    world.report(f"back after {back:.1f} s")
    share = alive_share(world, director, workers[0], watch_s)
    check(gone <= limit(world), f"not selected after {gone:.1f} s")
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
    start = time.monotonic()
    pairs = [(director, w) for w in workers] + [(w, director) for w in workers]
    shares = at_once([functools.partial(alive_share, world, watcher, of, seconds) for watcher, of in pairs])
    check(min(shares) == 1.0, "somebody was held for suspect")
    check_pools(world, [director, *workers])
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
    pairs = [(director, w) for w in workers] + [(w, director) for w in workers]
    watches = [functools.partial(alive_share, world, watcher, of, seconds) for watcher, of in pairs if of.is_ours and not watcher.is_ours]

    def kill():
        for _ in range(count):
            for node in ours:
                node.kill_child(name)
            time.sleep(seconds / count)

    *shares, _ = at_once([*watches, kill])
    check(all(s >= share for s in shares), f"alive in {min(shares, default=0) * 100:.0f} % of the samples")
    for worker in workers:
        sampler.wait_for(worker.addr, 10)
    return director, workers


def control_killed(world, seconds, count):
    director, workers = child_killed(world, "rpcnet-control", seconds, 0.99, count)
    check_pools(world, [director, *workers])


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


@case("events of our director: a published worker joins, changes a tag, falls ill, recovers, leaves", "director", mixed=True)
def our_events(world):
    director = world.director()
    command = [f"{world.options.build}/tools/rpcnetctl", "--socket", f"{director.dir}/run/control.sock", "events", "--follow", "--json"]
    follow = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    world.extras.append(SimpleNamespace(place=None, end=follow.kill))
    seen = []

    def read():
        for line in follow.stdout:
            event = json.loads(line)
            seen.append((event["event"].lower().replace("node_", ""), event.get("id")))

    threading.Thread(target=read, daemon=True).start()
    worker = world.worker(1, [director], real=True)

    def expect(what):
        until(lambda: (what, worker.id) in seen, 15, lambda: f"the event {what} of {worker.id}; seen {seen}")

    expect("joined")
    worker.tag("zone", "b")
    expect("tags_updated")
    worker.stop_heartbeats()
    expect("suspected")
    worker.resume_heartbeats()
    expect("recovered")
    worker.leave()
    expect("left")


@case("our worker is drained: not selected again though it is pinged on, its call in flight ends well, it exits with 0", "worker1", mixed=True)
def our_drain(world):
    director, workers, sampler = pool(world)
    ask = world.client("ask", workers[0])
    check(ask.ask("call", "echo", "x") == "x", "no echo")
    ask.send("call", "sleep", "0x" + (4000).to_bytes(8, "little").hex())
    time.sleep(0.2)
    started = time.monotonic()
    workers[0].ctl("drain", wait_s=40)
    gone = sampler.wait_gone(workers[0].addr, SLOW_S)
    reply = ask.replies.get(timeout=10)
    check("error" not in reply, f"the call in flight: {reply}")
    _, took = until(lambda: workers[0].process.poll() is not None, 40, "the node ends")
    check(workers[0].process.poll() == 0, f"it ended with {workers[0].process.poll()}")
    time.sleep(5)
    check(sampler.last(workers[0].addr) == gone, "selected again")
    world.report(f"not selected after {gone - started:.1f} s, ended {took:.1f} s later")
    check(gone - started <= SOON_S, f"selected for another {gone - started:.1f} s")


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
    if one.is_ours:  # whom another member reaches for it, it need not suspect
        time.sleep(5)
    else:
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
