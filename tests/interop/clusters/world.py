"""A network of namespaces on one bridge, and what a cluster case puts on it: programs of the published crate (Real) and nodes of ours (Ours).

Every case has a world of its own, so cases can run side by side. Needs CAP_SYS_ADMIN and CAP_NET_ADMIN (tools/in-env).
"""

import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time

PORT = 8080
START_S = 10  # for a program to say that it is ready


class Failed(Exception):
    """A case did not see what it has to see."""


def check(condition, why):
    if not condition:
        raise Failed(why)


def until(ready, limit_s, what, every_s=0.05):
    """What ready() says once it is true, and the seconds that took. what: a text, or a function that makes it once time is up."""
    start = time.monotonic()
    while True:
        value = ready()
        took = time.monotonic() - start
        if value:
            return value, took
        if took >= limit_s:
            raise Failed(f"not within {limit_s} s: {what() if callable(what) else what}")
        time.sleep(every_s)


class Place:
    """A namespace with eth0 on the bridge of its world. Its holder is a process that sleeps."""

    def __init__(self, world, number):
        self.world, self.number, self.up = world, number, True
        self.ip4, self.ip6 = f"10.88.0.{number}", f"fd88::{number}"
        self.holder = hold_namespace()
        port = f"p{number}"
        world.ip(f"link add {port} type veth peer name eth0 netns /proc/{self.holder.pid}/ns/net")
        world.ip(f"link set {port} master br0 up")
        self.ip("link set lo up", "link set eth0 up", f"addr add {self.ip4}/24 dev eth0", f"addr add {self.ip6}/64 dev eth0 nodad")

    def run(self, *command, **options):
        """A process in here, by its own pid."""
        return subprocess.Popen(["nsenter", "-n", "-t", str(self.holder.pid), *map(str, command)], **options)

    def ip(self, *commands):
        batch(["nsenter", "-n", "-t", str(self.holder.pid)], commands)

    def cut(self):
        """Nothing gets in or out any more."""
        self.world.ip(f"link set p{self.number} down")

    def mend(self):
        self.world.ip(f"link set p{self.number} up")

    def part_from(self, other):
        """Nothing goes to the other, nor comes from it."""
        for a, b in ((self, other), (other, self)):
            a.ip(f"route add blackhole {b.ip4}/32")

    def meet(self, other):
        for a, b in ((self, other), (other, self)):
            a.ip(f"route del blackhole {b.ip4}/32")


def hold_namespace():
    holder = subprocess.Popen(["unshare", "-n", "sleep", "7200"])
    mine = os.readlink("/proc/self/ns/net")
    until(lambda: os.readlink(f"/proc/{holder.pid}/ns/net") != mine, 5, "a new namespace", 0.002)
    return holder


def batch(prefix, commands):
    done = subprocess.run([*prefix, "ip", "-batch", "-"], input="\n".join(commands) + "\n", text=True, capture_output=True, check=False)
    check(done.returncode == 0, f"ip: {done.stderr.strip()}")


class World:
    """options: program (interop-cluster), build (directory of our programs), certs (directory with node.crt and node.key), ours (names of the parts
    that are ours), report (function that prints a figure)."""

    def __init__(self, options):
        self.options, self.parts, self.extras, self.number = options, {}, [], 10
        self.work = tempfile.mkdtemp(prefix="cluster-")
        os.chmod(self.work, 0o755)
        self.holder = hold_namespace()
        self.ip("link set lo up", "link add br0 type bridge", "link set br0 up")

    def ip(self, *commands):
        batch(["nsenter", "-n", "-t", str(self.holder.pid)], commands)

    def place(self):
        self.number += 1
        return Place(self, self.number)

    def is_ours(self, name):
        return name in self.options.ours

    def report(self, text):
        self.options.report(text)

    def part(self, name, role, real=False, start=True, **options):
        """A member: ours where it is to be, else of the published crate."""
        kind = Ours if self.is_ours(name) and not real else Real
        part = self.parts[name] = kind(self, name, role, **options)
        if start:
            part.start()
        return part

    def director(self, **options):
        return self.part("director", "director", **options)

    def worker(self, number, seeds, **options):
        """Ours where it is to be; real=True: never."""
        return self.part(f"worker{number}", "worker", seeds=seeds, **options)

    def workers(self, count, seeds, **options):
        """That many, started together."""
        made = [self.worker(i + 1, seeds, start=False, **options) for i in range(count)]
        for part in made:
            part.launch()
        for part in made:
            part.wait_ready()
        return made

    def client(self, role, director, *args):
        program = Program(self, role, self.place(), "--director", director.addr, *args)
        self.extras.append(program)
        program.launch()
        program.event("ready", START_S)
        return program

    def sampler(self, director):
        sampler = Sampler(self.client("ask", director))
        self.extras.insert(0, sampler)
        return sampler

    def logs(self):
        """The last lines of everybody's standard error."""
        texts = []
        for name in sorted(os.listdir(self.work)):
            if name.endswith(".log"):
                with open(os.path.join(self.work, name), encoding="utf-8", errors="replace") as f:
                    texts += [f"{name[:-4]}: {line.rstrip()}" for line in f.readlines()[-15:]]
        return texts

    def close(self):
        for one in [*self.extras, *self.parts.values()]:
            one.end()
        for place in [one.place for one in [*self.extras, *self.parts.values()] if getattr(one, "place", None)]:
            place.holder.kill()
            place.holder.wait()
        self.holder.kill()
        self.holder.wait()
        shutil.rmtree(self.work, ignore_errors=True)


class Program:
    """interop-cluster, or our client of a director: commands in, JSON lines out. `lines` are (monotonic time, object), replies excepted."""

    def __init__(self, world, role, place, *args):
        self.world, self.role, self.place, self.args = world, role, place, list(args)
        self.process, self.lines, self.changed, self.replies, self.asking = None, [], threading.Condition(), queue.Queue(), threading.Lock()
        self.log = os.path.join(world.work, f"{role}-{place.number}.log")

    def command(self):
        if self.role == "client" and self.world.is_ours("client"):
            return [f"{self.world.options.build}/tests/interop/our-director-client"]
        return [self.world.options.program, self.role]

    def launch(self):
        certs = self.world.options.certs
        key = [] if self.role in ("client", "ask") else ["--key", f"{certs}/node.key"]
        self.lines, self.replies = [], queue.Queue()
        with open(self.log, "ab") as log:
            self.process = self.place.run(*self.command(), "--cert", f"{certs}/node.crt", *key, *self.args,
                                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, bufsize=1)  # fmt: skip
        threading.Thread(target=self._read, args=(self.process.stdout, self.lines, self.replies), daemon=True).start()

    def _read(self, out, lines, replies):
        for text in out:
            if not text.startswith("{"):
                continue
            line, now = json.loads(text), time.monotonic()
            if "reply" in line:
                replies.put(line)
                continue
            with self.changed:
                lines.append((now, line))
                self.changed.notify_all()

    def _ended(self):
        return self.process.poll() is not None

    def events(self, name, since=0.0):
        with self.changed:
            return [(t, line) for t, line in self.lines if line["event"] == name and t >= since]

    def event(self, name, limit_s, since=0.0, count=1):
        """(time, line) of the count-th such line from `since` on; waits for it."""
        deadline = time.monotonic() + limit_s
        while True:
            found = self.events(name, since)
            if len(found) >= count:
                return found[count - 1]
            check(not self._ended() or name == "done", f"{self.role} ended with {self.process.poll()} before it said {name}")
            left = deadline - time.monotonic()
            check(left > 0, f"{self.role} did not say {name} within {limit_s} s" + (f" ({len(found)} of {count})" if count > 1 else ""))
            with self.changed:
                self.changed.wait(min(left, 0.2))

    def ask(self, *words, wait_s=15):
        """What it answers to a command."""
        with self.asking:
            self.send(*words)
            try:
                reply = self.replies.get(timeout=wait_s)
            except queue.Empty:
                raise Failed(f"{self.role} did not answer to {' '.join(words)} within {wait_s} s") from None
        check(reply["reply"] == words[0], f"answer to {reply['reply']} in place of {words[0]}")
        if "error" in reply:
            raise Failed(f"{words[0]}: {reply['error']}")
        return reply["value"]

    def send(self, *words):
        try:
            self.process.stdin.write(" ".join(words) + "\n")
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise Failed(f"{self.role} is gone") from None

    def end(self):
        if self.process and not self._ended():
            self.process.kill()
        if self.process:
            self.process.wait()


class Real(Program):
    """A member on the published crate."""

    is_ours = False

    def __init__(self, world, name, role, seeds=(), tags=None, ip6=False, bind_any=False, period_ms=None, place=None):
        self.name, self.id = name, name
        place = place or world.place()
        self.ip = f"[{place.ip6}]" if ip6 else place.ip4
        self.addr = f"{self.ip}:{PORT}"
        args = ["--addr", f"0.0.0.0:{PORT}" if bind_any else self.addr, "--trace"]
        args += [] if bind_any else ["--id", name]
        if bind_any:
            self.id = f"node-0.0.0.0:{PORT}"
        for seed in seeds:
            args += ["--seed", seed.addr]
        for key, value in (tags or {}).items():
            args += ["--tag", f"{key}={value}"]
        if period_ms:
            args += ["--period", period_ms]
        super().__init__(world, role, place, *args)

    def start(self):
        self.launch()
        self.wait_ready()

    def wait_ready(self):
        self.ready_at = self.event("ready", START_S)[0]

    def first_ping(self, limit_s):
        """When it first said anything to anybody."""
        until(lambda: any("Sending Ping" in line["text"] for _, line in self.events("trace")), limit_s, f"{self.name} pings")
        return next(t for t, line in self.events("trace") if "Sending Ping" in line["text"])

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def stop_heartbeats(self):
        self.ask("stop_heartbeats")

    def resume_heartbeats(self):
        self.ask("resume_heartbeats")

    def tag(self, key, value):
        self.ask("tag", key, value)

    def leave(self):
        self.ask("leave")

    def members(self):
        """Id: {addr, state, incarnation, tags}."""
        return {m["id"]: m for m in self.ask("members")}

    def worker_ids(self):
        return {w["id"] for w in self.ask("workers")}

    def stats(self):
        return self.ask("stats")

    def calls(self):
        return self.ask("calls")


class Ours:
    """A node of ours. What it is asked by: rpcnetctl members, workers, stats, leave, tag set."""

    is_ours = True

    def __init__(self, world, name, role, seeds=(), tags=None, ip6=False, bind_any=False, period_ms=None, place=None):
        self.world, self.name, self.id, self.role = world, name, name, role
        self.place = place or world.place()
        self.ip = f"[{self.place.ip6}]" if ip6 else self.place.ip4
        self.addr = f"{self.ip}:{PORT}"
        self.seeds, self.interval_ms, self.process = [s.addr for s in seeds], period_ms, None
        self.routes = []  # of a director; from its next start on
        own = {"worker": {"role": "worker", "label": name}, "director": {"role": "director"}}.get(role, {})
        self.tags = {**own, **(tags or {})}
        self.dir = os.path.join(world.work, name)
        os.makedirs(self.dir, exist_ok=True)
        self.log = f"{self.dir}.log"

    def config(self):
        """The node's configuration. Everything that depends on the names of keys is here."""
        certs = self.world.options.certs
        text = json.dumps  # JSON is YAML
        lines = [
            f"node: {{ name: {self.name}, run_dir: {self.dir}/run }}",
            f"port: {{ interface: eth0, listen_port: {PORT} }}",
            f"tls: {{ cert: {certs}/node.crt, key: {certs}/node.key }}",
            "cluster:",
            "  enabled: true",
            f"  node_id: {self.id}",
            f"  seeds: {text(self.seeds)}",
            f"  tags: {text(self.tags)}",
            f"  advertise_addr: {text(self.addr)}",
            f"  state_file: {self.dir}/members.json",
        ]
        if self.interval_ms:
            lines.append(f"  gossip_interval: {self.interval_ms}ms")
        if self.tags.get("role") == "director":
            # Evenly from the first answer on: by least_connections a worker that came later would get them all until it has caught up.
            lines.append(f"director: {{ enabled: true, strategy: round_robin, routes: {text(self.routes)} }}")
        return "\n".join(lines) + "\n"

    def launch(self):
        path = f"{self.dir}/node.yaml"
        with open(path, "w", encoding="utf-8") as f:
            f.write(self.config())
        with open(self.log, "ab") as log:
            self.log_start = log.tell()
            self.process = self.place.run(f"{self.world.options.build}/control/rpcnetd", "--config", path, stdout=log, stderr=log)

    def _said(self, text):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            f.seek(self.log_start)
            return text in f.read()

    def _last(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            f.seek(self.log_start)
            return "; ".join(f.read().strip().splitlines()[-3:]) or "it said nothing"

    def wait_ready(self):
        def ready():
            check(self.process.poll() is None, f"{self.name} of ours ended with {self.process.poll()}: {self._last()}")
            return self._said("is ready")

        until(ready, START_S, f"{self.name} of ours is ready")
        self.ready_at = time.monotonic()

    def start(self):
        self.launch()
        self.wait_ready()

    def first_ping(self, limit_s):
        """It has to be heard of from the start."""
        return self.ready_at

    def ctl(self, *words, wait_s=15):
        command = [f"{self.world.options.build}/tools/rpcnetctl", "--socket", f"{self.dir}/run/control.sock", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=wait_s, check=False)
        check(done.returncode == 0, f"rpcnetctl {' '.join(words)} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def ctl_json(self, *words):
        return json.loads(self.ctl(*words, "--json"))

    def child(self, name):
        """The pid of that process of the node. Names of processes end after 15 characters."""
        found = subprocess.run(["pgrep", "-P", str(self.process.pid), "-x", name[:15]], capture_output=True, text=True, check=False)
        check(found.stdout.strip(), f"{self.name} has no {name}")
        return int(found.stdout.split()[0])

    def kill_child(self, name):
        """Kills it; returns once there is another one."""
        old = self.child(name)
        os.kill(old, signal.SIGKILL)

        def another():
            try:
                return self.child(name) != old
            except Failed:
                return False

        until(another, 10, f"a new {name}")

    def kill(self):
        """rpcnetd takes the other two along."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def freeze(self):
        for name in ("rpcnet-control", "rpcnet-dataplane"):
            os.kill(self.child(name), signal.SIGSTOP)

    def thaw(self):
        for name in ("rpcnet-dataplane", "rpcnet-control"):
            os.kill(self.child(name), signal.SIGCONT)

    # A node of ours has no command that makes it ill.
    stop_heartbeats, resume_heartbeats = freeze, thaw

    def tag(self, key, value):
        self.ctl("tag", "set", key, value)

    def leave(self):
        self.ctl("leave")

    def members(self):
        found = self.ctl_json("members")["members"]
        return {m["id"]: {**m, "state": m["state"].lower()} for m in found}

    def worker_ids(self):
        return {w["id"] for w in self.ctl_json("workers")["workers"]}

    def calls(self):
        return sum(lcore["metrics"]["rpc"]["requests"] for lcore in self.ctl_json("stats")["lcores"])

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()


class Sampler:
    """Asks a director for a worker 20 times a second, and remembers what it said."""

    def __init__(self, program):
        self.program, self.samples, self.errors, self.going = program, [], [], True
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while self.going:
            start = time.monotonic()
            try:
                answer = self.program.ask("get_worker", wait_s=20)
                self.samples.append((time.monotonic(), answer["worker_addr"] if answer["success"] else None))
            except Failed as why:
                self.errors.append((time.monotonic(), str(why)))
            time.sleep(max(0.0, 0.05 - (time.monotonic() - start)))

    def first(self, addr, since=0.0):
        return next((t for t, a in list(self.samples) if a == addr and t >= since), None)

    def last(self, addr):
        return next((t for t, a in reversed(list(self.samples)) if a == addr), None)

    def wait_for(self, addr, limit_s, since=None):
        """When it was first named, from `since` (now) on."""
        since = time.monotonic() if since is None else since
        until(lambda: self.first(addr, since), limit_s, lambda: f"{addr} is selected (answers now: {self.recent()})")
        return self.first(addr, since)

    def wait_gone(self, addr, limit_s, quiet_s=1.5):
        """When it was last named, once it has not been for quiet_s while others, or nobody, were."""
        def gone():
            now, last = time.monotonic(), self.last(addr) or 0.0
            asked = [t for t, _ in self.samples[-5:]]
            return len(asked) == 5 and asked[0] > now - quiet_s and last < now - quiet_s

        until(gone, limit_s + quiet_s, lambda: f"{addr} is no longer selected (answers now: {self.recent()})")
        return self.last(addr) or 0.0

    def counts(self, since):
        found = {}
        for t, addr in list(self.samples):
            if t >= since:
                found[addr] = found.get(addr, 0) + 1
        return found

    def recent(self):
        return self.counts(time.monotonic() - 2.0) or f"none, {self.errors[-1:]}"

    def end(self):
        self.going = False
        self.program.end()
