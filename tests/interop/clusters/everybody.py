"""Cases: a director of ours that makes a call at every worker, asked by the published crate's client."""

import time

from .common import case
from .world import check, until


def from_each(text):
    """Node id: ("ok", result) or ("error", text), of Vec<(String, Result<Vec<u8>, String>)> in bincode, here without bytes above 127."""
    octets, found, at = text.encode(), {}, 8

    def number(size):
        nonlocal at
        at += size
        return int.from_bytes(octets[at - size:at], "little")

    def words():
        nonlocal at
        length = number(8)
        at += length
        check(at <= len(octets), f"ends at {len(octets)}: {text!r}")
        return octets[at - length:at].decode()

    for _ in range(int.from_bytes(octets[:8], "little")):
        name, tag = words(), number(4)
        found[name] = ({0: "ok", 1: "error"}[tag], words())
    check(at == len(octets), f"{len(octets) - at} bytes more: {text!r}")
    return found


@case("our director asks every worker: the published client gets an answer from each, an error in time for a dead one", "director", mixed=True)
def director_call_all(world):
    director = world.part("director", "director", start=False)
    director.routes = [{"method": "echo", "tags": {"role": "worker"}, "call_all": True, "timeout": "2s"}]
    director.start()
    workers = world.workers(3, [director])
    client = world.client("ask", director)

    def names():
        return {w["id"] for w in director.ctl_json("route", "echo")["workers"]}

    _, took = until(lambda: names() == {w.id for w in workers}, 30, "the director knows its workers")
    world.report(f"knows three workers after {took:.1f} s")
    answer = from_each(client.ask("call", "echo", "hello"))
    check(answer == {w.id: ("ok", "hello") for w in workers}, f"{answer}")
    workers[1].kill()
    start = time.monotonic()
    answer = from_each(client.ask("call", "echo", "again"))
    took = time.monotonic() - start
    dead = answer.pop(workers[1].id)
    world.report(f"one killed: after {took:.1f} s, {dead[0]}: {dead[1]}")
    check(dead[0] == "error" and took < 3, f"{dead} after {took:.1f} s")
    check(answer == {w.id: ("ok", "again") for w in (workers[0], workers[2])}, f"{answer}")
