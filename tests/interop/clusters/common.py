"""What the cases of clusters have in common: their list, the cluster that most of them begin with, what members hold of each other."""

import concurrent.futures
import random
import re
import time
from types import SimpleNamespace

from .world import check, until

CASES = []
SOON_S = 3.0  # for a director of ours to notice, at default intervals
SLOW_S = 30.0  # for the published one, where only it is to blame


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
    """A director, `count` workers, all of them selected and in touch with it, and who asks for them. options: those of the workers."""
    director = world.director()
    workers = world.workers(count, [director], **options)
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
    """Those of the user: nodes of ours have some of their own, rpcnet.*."""
    tags = part.members().get(of.id, {}).get("tags", {})
    return {key: value for key, value in tags.items() if not key.startswith("rpcnet.")}


def at_once(functions):
    """What they return, run side by side. The first that fails fails all."""
    with concurrent.futures.ThreadPoolExecutor(max(1, len(functions))) as jobs:
        return [job.result() for job in [jobs.submit(f) for f in functions]]


def alive_share(world, watcher, of, seconds):
    """Which share of samples, one at a random moment of each second, the watcher holds the other alive. A round of the watcher's is a second as well: at equal
    distances they would all fall on the same moment of it."""
    samples, start = [], time.monotonic()
    for i in range(int(seconds)):
        time.sleep(max(0.0, start + i + random.random() - time.monotonic()))
        samples.append(state_of(watcher, of))
    share = samples.count("alive") / len(samples)
    world.report(f"{watcher.name} held {of.name} alive in {share * 100:.0f} % of {len(samples)} samples")
    return share


def unanswered(member):
    """Whom a published member pinged last in vain, by the name that it knows them by."""
    last = {}
    for _, line in member.events("trace"):
        said = re.search(r'(Received|No) ACK from NodeId\("([^"]*)"\)', line["text"])
        if said:
            last[said[2]] = said[1]
    return {name for name, word in last.items() if word == "No"}


def check_pools(world, members, looks=6):
    """No published member has a connection that is in use at each of that many looks, a second apart: an entry that was never released. Among
    published members there may be one beside ours, by whom alone they know of each other: they let connections end that are silent for 30 s."""
    published = [m for m in members if not m.is_ours]
    stuck = {m.name for m in published}
    for _ in range(looks):
        stuck -= {m.name for m in published if m.stats()["in_use"] == 0}
        time.sleep(1)
    theirs = {m.id for m in published}
    for member in [m for m in published if m.name in stuck]:
        vain = unanswered(member)
        world.report(f"{member.name}: a pool entry is stuck, unanswered by {', '.join(sorted(vain)) or 'nobody'}")
        if len(published) < len(members) and vain and vain <= theirs:
            stuck.remove(member.name)
    check(not stuck, f"a pool entry is stuck at {', '.join(sorted(stuck))}")
