"""Servers to be measured: ours and the published crate's, each in a network namespace of its own; a client's namespace rnvsc is
joined to each. Shared by the programs of bench/system."""
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = "build/interop-target/release/interop-server"


def run(*args, **kwargs):
    return subprocess.run(args, check=True, text=True, **kwargs)


def cpu_s(pids):
    """User and system time of all threads of processes."""
    total = [0.0, 0.0]
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        for i, ticks in enumerate(fields[11:13]):
            total[i] += int(ticks) / os.sysconf("SC_CLK_TCK")
    return total


def memory_bytes(pids):
    """What processes have of the machine's memory, pages that they share counted once (PSS)."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


class Server:
    """A server in a network namespace of its own, joined to the client's by a veth."""

    def __init__(self, work, build, index):
        self.work, self.build = work, build
        self.netns = f"rnvs{index}"
        self.addr = f"198.51.{100 + index}.1"
        self.dev = f"rnsrv{index}"
        run("ip", "netns", "add", self.netns)
        run("ip", "link", "add", self.dev, "netns", self.netns, "type", "veth", "peer", "name", f"rncli{index}", "netns", "rnvsc")
        run("ip", "-n", self.netns, "address", "add", f"{self.addr}/24", "dev", self.dev)
        run("ip", "-n", self.netns, "link", "set", self.dev, "up")
        run("ip", "-n", "rnvsc", "address", "add", f"198.51.{100 + index}.2/24", "dev", f"rncli{index}")
        run("ip", "-n", "rnvsc", "link", "set", f"rncli{index}", "up")
        self.process = None

    def spawn(self, *args):
        log = open(self.work / f"{self.netns}.log", "w", encoding="utf-8")
        self.process = subprocess.Popen(["ip", "netns", "exec", self.netns, *args], stdout=log, stderr=log)

    def wait_for(self, ready):
        for _ in range(100):
            if self.process.poll() is not None:
                break
            if ready():
                return
            time.sleep(0.1)
        sys.exit(f"{self.netns} does not serve:\n" + (self.work / f"{self.netns}.log").read_text(encoding="utf-8"))

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None


class Reference(Server):
    name = "reference"

    def start(self):
        self.spawn("taskset", "-c", "0", REFERENCE, "--bind", self.addr, "--port", "8080", "--threads", "1",
                   "--cert", str(self.work / "node.crt"), "--key", str(self.work / "node.key"))
        self.wait_for(lambda: "listening on" in (self.work / f"{self.netns}.log").read_text(encoding="utf-8"))

    def pids(self):
        return [self.process.pid]  # ip and taskset become the server

    def busy_s(self):
        return None


class Node(Server):
    name = "node"
    lcores = "cores: [0]"
    limits = ""

    def start(self):
        (self.work / "node.yaml").write_text(f"""node:
  run_dir: {self.work}/run
port:
  interface: {self.dev}
  listen_port: 8080
lcores:
  {self.lcores}
tls:
  cert: {self.work}/node.crt
  key: {self.work}/node.key
{self.limits}""", encoding="utf-8")
        self.spawn(f"{self.build}/control/rpcnetd", "--config", str(self.work / "node.yaml"))
        self.wait_for(lambda: self.ask("status").get("dataplane", {}).get("state") == "serving")

    def ask(self, what):
        answer = subprocess.run([f"{self.build}/tools/rpcnetctl", "--socket", str(self.work / "run/control.sock"), what, "--json"],
                                capture_output=True, text=True, check=False)
        return json.loads(answer.stdout) if answer.returncode == 0 else {}

    def pids(self):
        """Of the data plane, of control, which signs, and of the parent."""
        status = self.ask("status")
        return [status[part]["pid"] for part in ("dataplane", "control", "rpcnetd")]

    def busy_s(self):
        """Time its lcore has spent in turns that found work."""
        return self.ask("stats")["lcores"][0]["metrics"]["lcore"]["busy_ns"] / 1e9


def cpu_model():
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def head(**more):
    """What a table has to be read with."""
    return {"commit": os.environ.get("RN_COMMIT", "unknown"), "date": time.strftime("%Y-%m-%d"), "cpu": cpu_model(), "cores": os.cpu_count(),
            "kernel": platform.release(), **more, "load_average_before": os.getloadavg()[0]}


def outside(program, args, stage=("--interop",)):
    """Builds what is missing, then runs the program in the environment."""
    os.chdir(ROOT)
    if stage and not os.access(REFERENCE, os.X_OK):
        run("tests/interop/run", "--list", stdout=subprocess.DEVNULL)
    if "RPCNET_BUILD" not in os.environ:
        run("bash", "-euc", "source tools/lib/env.sh; rn_build release")
    commit = run("git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*", stdout=subprocess.PIPE).stdout.strip()
    os.environ["RN_COMMIT"] = commit
    os.execv("tools/in-env", ["tools/in-env", *stage, program, *args])


def inside(program, args):
    """For programs without the published crate's server: goes on in the environment only, where there are two cores to pin to."""
    if not os.environ.get("RPCNET_IN_ENV"):
        outside(program, args, ())
    os.chdir(ROOT)
    if os.cpu_count() < 2 or shutil.which("taskset") is None:
        sys.exit(f"{program}: two cores and taskset are needed")
