//! What a member does when standard input says so, and what it answers.
use crate::options::pair;
use rpcnet::{
    cluster::{ClusterClient, ClusterMembership, NodeId, NodeRegistry, NodeState, WorkerInfo, WorkerRegistry},
    RpcConfig, RpcServer,
};
use serde_json::{json, Value};
use std::{
    collections::HashMap,
    io::BufRead,
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        Arc,
    },
    time::Duration,
};
use tokio::sync::mpsc;

type Filter = HashMap<String, String>;

pub struct Member {
    cluster: Arc<ClusterMembership>,
    workers: Arc<WorkerRegistry>,
    client: ClusterClient,
    failed: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
}

/// Puts handlers that count in the place of `echo` and `sleep`. Both are what a node of any kind has.
pub async fn count_calls(server: &RpcServer) -> Arc<AtomicU64> {
    let calls = Arc::new(AtomicU64::new(0));
    for slow in [false, true] {
        let calls = calls.clone();
        let handler = move |params: Vec<u8>| {
            calls.fetch_add(1, Ordering::SeqCst);
            async move {
                if slow {
                    tokio::time::sleep(Duration::from_millis(bincode::deserialize(&params)?)).await;
                }
                Ok(params)
            }
        };
        server.register(if slow { "sleep" } else { "echo" }, handler).await;
    }
    calls
}

/// Lines of standard input; none once it has ended.
pub fn lines() -> mpsc::UnboundedReceiver<String> {
    let (send, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// Prints the answer to a command, in the same form for all of them.
pub fn reply(command: &str, result: Result<Value, String>) {
    match result {
        Ok(value) => println!("{}", json!({ "reply": command, "value": value })),
        Err(why) => println!("{}", json!({ "reply": command, "error": why })),
    }
}

fn worker(w: &WorkerInfo) -> Value {
    json!({ "id": w.node_id.as_str(), "addr": w.addr.to_string(), "tags": w.tags, "connections": w.connection_count() })
}

fn filter(words: &[&str]) -> Result<Option<Filter>, String> {
    let pairs: Option<Filter> = words.iter().map(|word| pair(word)).collect();
    let pairs = pairs.ok_or("a filter is KEY=VALUE")?;
    Ok(Some(pairs).filter(|f| !f.is_empty()))
}

/// Params of a call: text, or bytes in hex behind 0x.
pub fn params(word: &str) -> Result<Vec<u8>, String> {
    let Some(hex) = word.strip_prefix("0x") else { return Ok(word.into()) };
    let byte = |i: usize| hex.get(i..i + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
    (0..hex.len()).step_by(2).map(byte).collect::<Option<_>>().ok_or(format!("{word} is no hex"))
}

/// The answer to what cannot fail and has none.
fn done(_: ()) -> Result<Value, String> {
    Ok(Value::Null)
}

fn text(result: Result<Vec<u8>, rpcnet::RpcError>) -> Value {
    match result {
        Ok(bytes) => json!({ "ok": String::from_utf8_lossy(&bytes) }),
        Err(e) => json!({ "error": e.to_string() }),
    }
}

impl Member {
    pub fn new(
        cluster: Arc<ClusterMembership>,
        workers: Arc<WorkerRegistry>,
        config: RpcConfig,
        failed: Arc<AtomicBool>,
        calls: Arc<AtomicU64>,
    ) -> Member {
        let client = ClusterClient::new(workers.clone(), config);
        Member { cluster, workers, client, failed, calls }
    }

    fn members(&self) -> Value {
        let nodes = self.cluster.registry().all_nodes();
        let member = |n: &rpcnet::cluster::NodeStatus| {
            json!({ "id": n.node_id.as_str(), "addr": n.addr.to_string(), "state": format!("{:?}", n.state).to_lowercase(),
                    "incarnation": n.incarnation.value(), "tags": n.tags })
        };
        nodes.iter().map(member).collect()
    }

    fn stats(&self) -> Value {
        let s = self.cluster.stats();
        json!({ "nodes": s.total_nodes, "alive": s.alive_nodes, "suspect": s.suspect_nodes, "failed": s.failed_nodes,
                "connections": s.total_connections, "in_use": s.total_connections - s.idle_connections })
    }

    /// Takes a node for suspect, as if a ping had found it so; nobody is told.
    fn suspect(&self, id: &str) -> Result<Value, String> {
        let mut node = self.cluster.registry().get(&NodeId::new(id)).ok_or(format!("no member {id}"))?;
        node.state = NodeState::Suspect;
        node.incarnation.increment();
        self.cluster.registry().insert(node);
        Ok(Value::Null)
    }

    async fn execute(&self, words: &[&str]) -> Result<Value, String> {
        match words {
            ["members"] => Ok(self.members()),
            ["workers"] => Ok(self.workers.all_workers().await.iter().map(worker).collect()),
            ["stats"] => Ok(self.stats()),
            ["calls"] => Ok(self.calls.load(Ordering::SeqCst).into()),
            ["stop_heartbeats"] => done(self.cluster.stop_heartbeats()),
            ["resume_heartbeats"] => done(self.cluster.resume_heartbeats()),
            ["tag", key, value] => done(self.cluster.update_tag(key.to_string(), value.to_string()).await),
            ["untag", key] => done(self.cluster.remove_tag(key).await),
            ["leave"] => self.cluster.leave().await.map(|()| Value::Null).map_err(|e| e.to_string()),
            ["fail"] => done(self.failed.store(true, Ordering::SeqCst)),
            ["recover"] => done(self.failed.store(false, Ordering::SeqCst)),
            ["suspect", id] => self.suspect(id),
            ["select", rest @ ..] => {
                let chosen = self.workers.select_worker(filter(rest)?.as_ref()).await;
                Ok(chosen.map_or(Value::Null, |w| worker(&w)))
            }
            ["call", method, word, rest @ ..] => {
                let wanted = filter(rest)?;
                Ok(text(self.client.call_worker(method, params(word)?, wanted.as_ref()).await))
            }
            ["call_all", method, word, rest @ ..] => {
                let wanted = filter(rest)?;
                let results = self.client.call_all_workers(method, params(word)?, wanted.as_ref()).await;
                Ok(results.into_iter().map(text).collect())
            }
            _ => Err(format!("no command {}", words.join(" "))),
        }
    }
}

/// Until standard input ends. Commands run side by side: a call may take long.
pub async fn serve(member: Member) {
    let (member, mut lines) = (Arc::new(member), lines());
    while let Some(line) = lines.recv().await {
        let member = member.clone();
        tokio::spawn(async move {
            let words: Vec<_> = line.split_whitespace().collect();
            let result = member.execute(&words).await;
            reply(words.first().unwrap_or(&""), result);
        });
    }
}
