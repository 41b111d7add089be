//! The published crate's client, unchanged, against a node: one case per line of output.
mod kill;
mod load;
mod raw;
mod rebind;
mod streaming;
mod timing;
mod unary;

use rpcnet::{RpcClient, RpcConfig};
use std::{future::Future, net::SocketAddr, path::PathBuf, pin::Pin, process::exit, sync::Arc, time::Duration};

const USAGE: &str = "\
usage: interop-client --addr HOST:PORT --cert FILE [--server-name NAME] [--list] [CASE...]

Runs the named cases (all without a name) against a node and prints `ok NAME`, or `not ok NAME: why`.
Exits with 1 if a case failed, with 2 for a wrong command line. A CASE that ends in * names all that
begin so; one that begins with - takes cases away again. Cases that mostly wait run beside the others.

  --addr HOST:PORT     the node
  --cert FILE          its certificate in PEM, which is also the trust anchor
  --server-name NAME   name that the certificate has to hold (localhost)
  --list               print the names and what each shows, and exit

example: interop-client --addr 172.28.80.10:8080 --cert docker/tls/node.crt 'echo_*' fail_text";

/// Why a case failed.
pub type Outcome = Result<(), String>;
type Run = fn(Arc<Target>) -> Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// The node under test.
pub struct Target {
    pub addr: SocketAddr,
    pub cert: PathBuf,
    pub server_name: String,
}

pub struct Case {
    pub name: &'static str,
    pub shows: &'static str,
    /// Time after which it has failed.
    pub limit_s: u64,
    /// Mostly waits: runs beside the others.
    pub waits: bool,
    pub run: Run,
}

/// A case out of an async function that takes an `Arc<Target>`.
#[macro_export]
macro_rules! case {
    ($name:literal, $limit_s:expr, $shows:literal, $run:expr) => {
        $crate::Case { name: $name, shows: $shows, limit_s: $limit_s, waits: false, run: |t| Box::pin($run(t)) }
    };
    (waits $name:literal, $limit_s:expr, $shows:literal, $run:expr) => {
        $crate::Case { waits: true, ..$crate::case!($name, $limit_s, $shows, $run) }
    };
}

impl Target {
    pub fn config(&self) -> RpcConfig {
        let any = if self.addr.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
        RpcConfig::new(&self.cert, any).with_server_name(&self.server_name)
    }

    pub async fn client(&self) -> Result<RpcClient, String> {
        self.client_at(self.addr).await
    }

    /// A client of the same node by another address.
    pub async fn client_at(&self, addr: SocketAddr) -> Result<RpcClient, String> {
        RpcClient::connect(addr, self.config()).await.map_err(|e| format!("connect: {e}"))
    }
}

/// `len` bytes that differ from position to position and from `seed` to `seed`.
pub fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |_| {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 32) as u8
    };
    (0..len).map(next).collect()
}

/// Compares without printing megabytes.
pub fn same(what: &str, got: &[u8], want: &[u8]) -> Outcome {
    if got == want {
        return Ok(());
    }
    let at = got.iter().zip(want).position(|(a, b)| a != b).unwrap_or(got.len().min(want.len()));
    let show = |b: &[u8]| String::from_utf8_lossy(&b[..b.len().min(80)]).into_owned();
    Err(format!(
        "{what}: {} bytes ({:?}), expected {} ({:?}), first difference at {at}",
        got.len(),
        show(got),
        want.len(),
        show(want)
    ))
}

pub fn check(condition: bool, why: impl FnOnce() -> String) -> Outcome {
    if condition {
        Ok(())
    } else {
        Err(why())
    }
}

struct Options {
    target: Option<Target>,
    list: bool,
    cases: Vec<String>,
}

fn usage(why: &str) -> ! {
    eprintln!("interop-client: {why}\n{USAGE}");
    exit(2)
}

fn options() -> Options {
    let (mut addr, mut cert, mut server_name) = (None, None, "localhost".to_string());
    let mut o = Options { target: None, list: false, cases: Vec::new() };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().unwrap_or_else(|| usage(&format!("{arg} needs a value")));
        match arg.as_str() {
            "-h" | "--help" => {
                println!("{USAGE}");
                exit(0)
            }
            "--list" => o.list = true,
            "--addr" => addr = Some(value()),
            "--cert" => cert = Some(PathBuf::from(value())),
            "--server-name" => server_name = value(),
            name if name.starts_with("--") => usage(&format!("unknown option {name}")),
            _ => o.cases.push(arg),
        }
    }
    if let (Some(addr), Some(cert)) = (addr, cert) {
        let found = std::net::ToSocketAddrs::to_socket_addrs(&addr).ok().and_then(|mut all| all.next());
        let addr = found.unwrap_or_else(|| usage(&format!("--addr {addr}: no such address")));
        o.target = Some(Target { addr, cert, server_name });
    } else if !o.list {
        usage("--addr and --cert are needed")
    }
    o
}

fn all_cases() -> Vec<Case> {
    let groups = [unary::cases, streaming::cases, raw::cases, load::cases, kill::cases, rebind::cases, timing::cases];
    groups.into_iter().flat_map(|cases| cases()).collect()
}

/// Keeps the cases that `wanted` names, in their own order.
fn chosen(cases: Vec<Case>, wanted: &[String]) -> Vec<Case> {
    let names = |pattern: &str, name: &str| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    };
    for w in wanted {
        let pattern = w.strip_prefix('-').unwrap_or(w);
        if !cases.iter().any(|c| names(pattern, c.name)) {
            usage(&format!("no case {pattern}; --list has them all"))
        }
    }
    let (without, with): (Vec<_>, Vec<_>) = wanted.iter().partition(|w| w.starts_with('-'));
    let keep = |c: &Case| {
        (with.is_empty() || with.iter().any(|w| names(w, c.name))) && !without.iter().any(|w| names(&w[1..], c.name))
    };
    cases.into_iter().filter(keep).collect()
}

/// Runs one case and prints its line. True if it passed.
async fn run(case: Case, target: Arc<Target>) -> bool {
    let limit = Duration::from_secs(case.limit_s);
    let outcome = match tokio::spawn(tokio::time::timeout(limit, (case.run)(target))).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(format!("not done after {} s", case.limit_s)),
        Err(e) => Err(format!("{e}")),
    };
    match &outcome {
        Ok(()) => println!("ok {}", case.name),
        Err(why) => println!("not ok {}: {}", case.name, why.replace('\n', " ")),
    }
    outcome.is_ok()
}

async fn run_all(cases: Vec<Case>, target: Arc<Target>) -> bool {
    let (beside, rest): (Vec<_>, Vec<_>) = cases.into_iter().partition(|c| c.waits);
    let beside: Vec<_> = beside.into_iter().map(|c| tokio::spawn(run(c, target.clone()))).collect();
    let mut passed = true;
    for case in rest {
        passed &= run(case, target.clone()).await;
    }
    for task in beside {
        passed &= task.await.unwrap_or(false);
    }
    passed
}

fn main() {
    let o = options();
    if o.list {
        for c in chosen(all_cases(), &o.cases) {
            println!("{:<24} {}", c.name, c.shows);
        }
        return;
    }
    let Some(target) = o.target else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    if o.cases == ["killed-child"] {
        return runtime.block_on(kill::child(target));
    }
    let passed = runtime.block_on(run_all(chosen(all_cases(), &o.cases), Arc::new(target)));
    runtime.shutdown_background();
    exit(if passed { 0 } else { 1 })
}
