//! Asks a director, one line of standard input at a time.
use crate::{
    commands::{lines, params, reply},
    messages::{GetWorkerRequest, GetWorkerResponse, GET_WORKER},
    options::Options,
    say,
};
use rpcnet::{RpcClient, RpcError};
use serde_json::{json, Value};
use std::{net::SocketAddr, time::Duration};
use tokio::time::timeout;

/// For a connection, and for an answer.
pub const PATIENCE: Duration = Duration::from_secs(5);

pub async fn connect(o: &Options, to: SocketAddr) -> Result<RpcClient, String> {
    match timeout(PATIENCE, RpcClient::connect(to, o.rpc(&to))).await {
        Ok(client) => client.map_err(|e| e.to_string()),
        Err(_) => Err(format!("no connection to {to} within {PATIENCE:?}")),
    }
}

pub async fn get_worker(
    c: &RpcClient,
    connection_id: Option<String>,
    prompt: &str,
) -> Result<GetWorkerResponse, String> {
    let request = GetWorkerRequest { connection_id, prompt: prompt.to_string() };
    let params = bincode::serialize(&request).map_err(|e| e.to_string())?;
    let answer = timeout(PATIENCE, c.call(GET_WORKER, params)).await.map_err(|_| "no answer".to_string())?;
    bincode::deserialize(&answer.map_err(|e| e.to_string())?).map_err(|e| e.to_string())
}

async fn execute(c: &RpcClient, words: &[&str]) -> Result<Value, String> {
    match words {
        ["get_worker", rest @ ..] => {
            let r = get_worker(c, rest.first().map(|id| id.to_string()), "a prompt").await?;
            Ok(json!({ "success": r.success, "worker_addr": r.worker_addr, "worker_label": r.worker_label,
                       "connection_id": r.connection_id, "message": r.message }))
        }
        ["call", method, word] => {
            let result: Result<Vec<u8>, RpcError> = c.call(method, params(word)?).await;
            result.map(|bytes| String::from_utf8_lossy(&bytes).into()).map_err(|e| e.to_string())
        }
        _ => Err(format!("no command {}", words.join(" "))),
    }
}

pub async fn run(o: Options) -> Result<(), String> {
    let director = o.director.ok_or("no director")?;
    let mut lines = lines();
    let mut client = None;
    say("ready", json!({}));
    while let Some(line) = lines.recv().await {
        let words: Vec<_> = line.split_whitespace().collect();
        let result = match &client {
            Some(c) => execute(c, &words).await,
            None => match connect(&o, director).await {
                Ok(c) => execute(client.insert(c), &words).await,
                Err(why) => Err(why),
            },
        };
        // What failed may have been the connection: the next command makes a new one.
        if result.is_err() {
            client = None;
        }
        reply(words.first().unwrap_or(&""), result);
    }
    Ok(())
}
