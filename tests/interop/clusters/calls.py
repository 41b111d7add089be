"""Cases: the client of a director, and the published crate's ClusterClient."""

import time

from .common import case, pool
from .world import check, until

# ---- the client of the director ----


@case("a client gets ten tokens", "client director worker1")
def client_tokens(world):
    director, _, _ = pool(world, 1)
    client = world.client("client", director, "--tokens", 10)
    _, done = client.event("done", 20)
    tokens = [line for _, line in client.events("token")]
    texts = [f"[worker1] processed: prompt {i}" for i in range(10)]
    check([t["text"] for t in tokens] == texts and all(t["sequence"] == 0 for t in tokens), f"{tokens}")
    check(done["tokens"] == 10 and {t["label"] for t in tokens} == {"worker1"}, f"{done}")
    greeting = [line for _, line in client.events("connected")]
    assigned = client.events("assigned")[0][1]
    check(len(greeting) == 1 and greeting[0]["worker"] == "worker1", f"{greeting}")
    check(greeting[0]["connection_id"] == assigned["connection_id"], f"{greeting} after {assigned}")


def fails_over(world, make_ill, limit_s, **options):
    director, workers, _ = pool(world, **options)
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


@case("its worker is killed: the client gets the rest from another", "client director worker1 worker2 worker3", limit_s=150)
def client_killed_worker(world):
    # The published client takes a stream for dead when nothing came for 3 s; a dead worker may be named again until the director notices,
    # and to dial it costs 5 s.
    fails_over(world, lambda w: w.kill(), 4.0 + 5.5 * 3 if not world.is_ours("director") else 10.0)


@case("its worker says that it failed and stops to answer pings: the client gets the rest from another", "client director", limit_s=150)
def client_failing_worker(world):
    def fail(worker):
        worker.ask("fail")
        worker.stop_heartbeats()

    fails_over(world, fail, 15.0, real=True)


@case("no worker yet: the client asks again until there is one", "client director worker1")
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
    check(spread(workers, before) == [1, 1, 2], f"calls {spread(workers, before)}")
    # After that: a node of ours counts it as a call.
    unknown = calls.ask("call_all", "nobody.home", "x")
    check(unknown == [{"error": "Stream error: Unknown method: nobody.home"}] * 3, f"{unknown}")
