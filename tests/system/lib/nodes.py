"""Nodes of a cluster, each in a network namespace of its own, joined by a bridge. For programs of tests/system that run in the build environment."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

BUILD = os.environ.get("RPCNET_BUILD", "build/release")


def run(*args, **kwargs):
    return subprocess.run(args, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kwargs).stdout


def namespace():
    """A process that holds a network namespace of its own."""
    holder = subprocess.Popen(["unshare", "-n", "sleep", "7200"])
    own = os.stat("/proc/self/ns/net").st_ino
    wait(5, lambda: os.stat(f"/proc/{holder.pid}/ns/net").st_ino != own, 0.005)
    return holder


class Node:
    """One rpcnetd. options: sections of its configuration, by name, that go beyond the common ones."""

    def __init__(self, world, name, index, options):
        self.world, self.name, self.index, self.options = world, name, index, options
        self.address = f"10.88.{index // 250}.{index % 250 + 1}"
        self.directory = os.path.join(world.work, name)
        self.socket = os.path.join(self.directory, "run/control.sock")
        self.log_path = os.path.join(self.directory, "log")
        self.process = None
        os.makedirs(self.directory)
        self.holder = namespace()
        self._attach()
        self.configure()

    def _attach(self):
        inside = f"rn{self.index}"
        self.world.bridge("ip", "link", "add", f"br{self.index}", "type", "veth", "peer", "name", inside, "netns", str(self.holder.pid))
        self.world.bridge("ip", "link", "set", f"br{self.index}", "master", "sw0", "up")
        self.inside("ip", "link", "set", "lo", "up")
        self.inside("ip", "address", "add", f"{self.address}/16", "dev", inside)
        self.inside("ip", "link", "set", inside, "up")
        self.interface = inside

    def inside(self, *args, **kwargs):
        return run("nsenter", "-n", "-t", str(self.holder.pid), *args, **kwargs)

    def configure(self, **options):
        """Writes the configuration, which holds from the next start on."""
        self.options.update(options)
        sections = {
            "node": {"name": self.name, "run_dir": os.path.join(self.directory, "run")},
            "port": {"interface": self.interface, "listen_port": 8080},
            "tls": {"cert": os.path.join(self.world.work, "tls/node.crt"), "key": os.path.join(self.world.work, "tls/node.key")},
            "limits": {"connections": 512, "streams": 32768, "send_segments": 32768, "bulk_segments": 4096, "connection_heap": "64MiB"},
        }
        for name, keys in self.options.items():
            sections.setdefault(name, {}).update(keys)
        with open(os.path.join(self.directory, "node.yaml"), "w") as f:
            json.dump(sections, f)  # JSON is YAML

    def start(self):
        with open(self.log_path, "a") as log:
            self.process = subprocess.Popen(
                ["nsenter", "-n", "-t", str(self.holder.pid), os.path.join(BUILD, "control/rpcnetd"), "--config", os.path.join(self.directory, "node.yaml")],
                stdout=log, stderr=log)

    def ctl(self, *args):
        """The answer of rpcnetctl as an object, None when the node does not answer."""
        p = subprocess.run([os.path.join(BUILD, "tools/rpcnetctl"), "--socket", self.socket, "--json", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if p.returncode != 0:
            return None
        return json.loads(p.stdout) if p.stdout.strip().startswith("{") else {}

    def ctl_lines(self, *args):
        """The same for an answer of a line each."""
        p = subprocess.run([os.path.join(BUILD, "tools/rpcnetctl"), "--socket", self.socket, "--json", *args], stdout=subprocess.PIPE, text=True)
        return [json.loads(line) for line in p.stdout.splitlines()]

    def members(self):
        """id -> member, as this node sees the cluster."""
        answer = self.ctl("members")
        return {m["id"]: m for m in answer["members"]} if answer else {}

    def sees(self, other, state):
        return self.members().get(other.id, {}).get("state") == state

    @property
    def id(self):
        return self.options.get("cluster", {}).get("node_id") or f"node-{self.address}:8080"

    def pids(self):
        status = self.ctl("status")
        return {"control": status["control"]["pid"], "dataplane": status["dataplane"]["pid"]} if status else {}

    def everything(self):
        """Every process of this node."""
        own = self.process.pid
        pids = run("ps", "-e", "-o", "pid=,ppid=")
        children = {}
        for line in pids.splitlines():
            pid, parent = map(int, line.split())
            children.setdefault(parent, []).append(pid)
        found, todo = [], [own]
        while todo:
            pid = todo.pop()
            found.append(pid)
            todo += children.get(pid, [])
        return found

    def signal_all(self, sig):
        for pid in self.everything():
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                pass

    def kill(self):
        """As if its machine lost power."""
        if self.process is None:
            return
        self.signal_all(signal.SIGSTOP)  # nobody starts another one meanwhile
        self.signal_all(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def stop(self, seconds=45):
        """SIGTERM; the exit status, None when it does not end."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self.process = None
        return status

    def log(self):
        with open(self.log_path) as f:
            return f.read()


class World:
    def __init__(self):
        self.work = tempfile.mkdtemp(prefix="rpcnet-")
        os.chmod(self.work, 0o755)
        self.nodes = []
        run("tools/certs", os.path.join(self.work, "tls"))
        self.holder = namespace()
        self.bridge("ip", "link", "add", "name", "sw0", "type", "bridge")
        self.bridge("ip", "link", "set", "sw0", "up")

    def bridge(self, *args):
        return run("nsenter", "-n", "-t", str(self.holder.pid), *args)

    def cut_off(self, node):
        """From now on nothing gets to the node or away from it; it is not told."""
        port = f"br{node.index}"
        rules = f'table bridge cut_{port} {{\n chain forward {{\n type filter hook forward priority 0;\n iifname "{port}" drop\n oifname "{port}" drop\n }}\n}}\n'
        subprocess.run(["nsenter", "-n", "-t", str(self.holder.pid), "nft", "-f", "-"], check=True, input=rules, text=True)

    def add(self, name, **options):
        self.nodes.append(Node(self, name, len(self.nodes), options))
        return self.nodes[-1]

    def close(self):
        for node in self.nodes:
            node.kill()
            node.holder.kill()
            node.holder.wait()
        self.holder.kill()
        self.holder.wait()
        shutil.rmtree(self.work, ignore_errors=True)


def wait(seconds, condition, interval=0.05):
    """How long it took until the condition held, None when it did not within that time."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if condition():
            return time.monotonic() - began
        time.sleep(interval)
    return None
