//! The command line.
use rpcnet::{
    cluster::{GossipConfig, LoadBalancingStrategy},
    RpcConfig,
};
use std::{net::SocketAddr, path::PathBuf, process::exit, time::Duration};

const USAGE: &str = "\
usage: interop-cluster ROLE --cert FILE [OPTION...]

A member of a cluster, or the client of a director, on the published rpcnet crate. Prints one JSON object a line; for
each line on its standard input one with \"reply\". Ends with its standard input.

roles:
  worker     serves Inference.generate and the built-in methods; tags role=worker, label=ID
  director   serves DirectorRegistry.get_worker from its registry of workers; tag role=director
  node       a member and no more
  client     asks the director for a worker and that one for tokens, again and again until it has --tokens of them
  ask        asks the director what standard input says

options:
  --cert FILE, --key FILE      PEM; the certificate is also the trust anchor. client and ask need no key
  --addr HOST:PORT             where a member listens
  --id NAME                    its id (the crate's own: node-HOST:PORT)
  --seed HOST:PORT             a member to join; may be repeated, tried until one answers
  --tag KEY=VALUE              may be repeated; replaces the role's own where the key is the same
  --strategy NAME              round_robin (default), random or least_connections
  --period, --ack-timeout, --indirect-timeout MS   of gossip (the crate's: 1000, 500, 1000)
  --trace                      print what the crate logs about gossip, too
  --director HOST:PORT         whom client and ask ask
  --tokens N, --every MS       client: how many tokens (10), and how long between two requests (800)

standard input of a member:
  members, workers, stats, calls (of echo and sleep), stop_heartbeats, resume_heartbeats, tag KEY VALUE, untag KEY, leave,
  select [KEY=VALUE...], call METHOD PARAMS [KEY=VALUE...], call_all METHOD PARAMS [KEY=VALUE...],
  suspect ID (in its own table; PARAMS: text, or 0x and hex), fail and recover (worker: what Inference.generate answers)
standard input of ask:
  get_worker [CONNECTION], call METHOD PARAMS

example: interop-cluster worker --cert node.crt --key node.key --addr 127.0.0.1:62001 --seed 127.0.0.1:61000";

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Worker,
    Director,
    Node,
    Client,
    Ask,
}

pub struct Options {
    pub role: Role,
    pub cert: PathBuf,
    pub key: PathBuf,
    pub addr: String,
    pub id: Option<String>,
    pub seeds: Vec<SocketAddr>,
    pub tags: Vec<(String, String)>,
    pub strategy: LoadBalancingStrategy,
    pub gossip: GossipConfig,
    pub trace: bool,
    pub director: Option<SocketAddr>,
    pub tokens: u64,
    pub every: Duration,
}

/// The wildcard address of the same family, any port.
pub fn any_like(addr: &SocketAddr) -> &'static str {
    if addr.is_ipv6() {
        "[::]:0"
    } else {
        "0.0.0.0:0"
    }
}

impl Options {
    /// Of a client that dials `to`.
    pub fn rpc(&self, to: &SocketAddr) -> RpcConfig {
        RpcConfig::new(&self.cert, any_like(to)).with_server_name("localhost")
    }
}

fn usage(why: &str) -> ! {
    eprintln!("interop-cluster: {why}\n{USAGE}");
    exit(2)
}

pub fn pair(text: &str) -> Option<(String, String)> {
    text.split_once('=').map(|(key, value)| (key.to_string(), value.to_string()))
}

fn role(word: &str) -> Role {
    match word {
        "worker" => Role::Worker,
        "director" => Role::Director,
        "node" => Role::Node,
        "client" => Role::Client,
        "ask" => Role::Ask,
        "-h" | "--help" => {
            println!("{USAGE}");
            exit(0)
        }
        _ => usage(&format!("no role {word}")),
    }
}

pub fn read() -> Options {
    let mut args = std::env::args().skip(1);
    let role = role(&args.next().unwrap_or_else(|| usage("a role is needed")));
    let mut o = Options {
        role,
        cert: PathBuf::new(),
        key: PathBuf::new(),
        addr: String::new(),
        id: None,
        seeds: Vec::new(),
        tags: Vec::new(),
        strategy: LoadBalancingStrategy::RoundRobin,
        gossip: GossipConfig::default(),
        trace: false,
        director: None,
        tokens: 10,
        every: Duration::from_millis(800),
    };
    while let Some(name) = args.next() {
        if name == "--trace" {
            o.trace = true;
            continue;
        }
        let value = args.next().unwrap_or_else(|| usage(&format!("{name} needs a value")));
        let number = || value.parse::<u64>().unwrap_or_else(|_| usage(&format!("{name} {value}: not a number")));
        let addr = || value.parse::<SocketAddr>().unwrap_or_else(|_| usage(&format!("{name} {value}: not HOST:PORT")));
        match name.as_str() {
            "--cert" => o.cert = value.into(),
            "--key" => o.key = value.into(),
            "--addr" => o.addr = addr().to_string(),
            "--id" => o.id = Some(value),
            "--seed" => o.seeds.push(addr()),
            "--tag" => o.tags.push(pair(&value).unwrap_or_else(|| usage("--tag needs KEY=VALUE"))),
            "--strategy" => {
                o.strategy = match value.as_str() {
                    "round_robin" => LoadBalancingStrategy::RoundRobin,
                    "random" => LoadBalancingStrategy::Random,
                    "least_connections" => LoadBalancingStrategy::LeastConnections,
                    _ => usage(&format!("no strategy {value}")),
                }
            }
            "--period" => o.gossip.protocol_period = Duration::from_millis(number()),
            "--ack-timeout" => o.gossip.ack_timeout = Duration::from_millis(number()),
            "--indirect-timeout" => o.gossip.indirect_timeout = Duration::from_millis(number()),
            "--director" => o.director = Some(addr()),
            "--tokens" => o.tokens = number(),
            "--every" => o.every = Duration::from_millis(number()),
            _ => usage(&format!("unknown option {name}")),
        }
    }
    let dials = matches!(role, Role::Client | Role::Ask);
    if o.cert.as_os_str().is_empty() || (!dials && o.key.as_os_str().is_empty()) {
        usage("--cert, and for a member --key, are needed")
    }
    if dials != o.director.is_some() || dials != o.addr.is_empty() {
        usage("client and ask need --director, a member needs --addr")
    }
    o
}
