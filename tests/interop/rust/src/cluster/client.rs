//! Tokens from whichever worker the director names; when one fails, from the next.
use crate::{
    ask::{connect, get_worker},
    messages::{InferenceError, InferenceRequest, InferenceResponse, Reply, GENERATE},
    options::Options,
    say,
};
use futures::{Stream, StreamExt};
use rpcnet::{streaming::StreamError, RpcClient};
use serde_json::json;
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use tokio::time::sleep;

/// Before the director is asked again.
const PAUSE: Duration = Duration::from_millis(500);
/// Requests on one stream.
const REQUESTS: usize = 100;

#[derive(Default)]
struct Count {
    tokens: u64,
    by_worker: BTreeMap<String, u64>,
}

fn requests(connection_id: String, every: Duration) -> impl Stream<Item = Vec<u8>> {
    async_stream::stream! {
        for i in 0..REQUESTS {
            if i > 0 {
                sleep(every).await;
            }
            let request = InferenceRequest { connection_id: connection_id.clone(), prompt: format!("prompt {i}") };
            yield bincode::serialize(&request).expect("plain data");
        }
    }
}

/// Tokens of one worker, until there are enough (Ok) or it is of no more use.
async fn tokens(c: &RpcClient, o: &Options, connection: &str, label: &str, count: &mut Count) -> Result<(), String> {
    let items =
        c.call_streaming(GENERATE, requests(connection.to_string(), o.every)).await.map_err(|e| e.to_string())?;
    let mut items = Box::pin(items);
    while count.tokens < o.tokens {
        let item = match items.next().await {
            Some(Ok(item)) => item,
            Some(Err(StreamError::Timeout)) => return Err("the stream is silent".into()),
            Some(Err(StreamError::Transport(e) | StreamError::Item(e))) => return Err(e.to_string()),
            None => return Err("the stream ended".into()),
        };
        match bincode::deserialize::<Reply>(&item).map_err(|e| format!("an item of {} bytes: {e}", item.len()))? {
            Ok(InferenceResponse::Connected { worker, connection_id }) => {
                say("connected", json!({ "worker": worker, "connection_id": connection_id }))
            }
            Ok(InferenceResponse::Token { text, sequence }) => {
                count.tokens += 1;
                *count.by_worker.entry(label.to_string()).or_default() += 1;
                say("token", json!({ "text": text, "sequence": sequence, "label": label, "tokens": count.tokens }));
            }
            Ok(InferenceResponse::Error { message }) => return Err(format!("error reply: {message}")),
            Ok(InferenceResponse::Done) => return Err("done".into()),
            Err(InferenceError::WorkerFailed(who)) => return Err(format!("worker failed: {who}")),
            Err(InferenceError::InvalidRequest(why)) => return Err(format!("invalid request: {why}")),
        }
    }
    Ok(())
}

/// One worker from the director, and its tokens.
async fn one_worker(
    director: &RpcClient,
    o: &Options,
    connection: &mut Option<String>,
    count: &mut Count,
) -> Result<(), String> {
    let answer = get_worker(director, connection.clone(), "some tokens").await.map_err(|e| format!("director: {e}"))?;
    *connection = Some(answer.connection_id.clone());
    let (true, Some(addr)) = (answer.success, answer.worker_addr) else {
        let message = answer.message.unwrap_or_default();
        say("none", json!({ "message": message }));
        return Err(message);
    };
    let label = answer.worker_label.unwrap_or_default();
    say("assigned", json!({ "addr": addr, "label": label, "connection_id": answer.connection_id }));
    let addr: SocketAddr = addr.parse().map_err(|_| format!("{addr} is no address"))?;
    let worker = connect(o, addr).await?;
    tokens(&worker, o, &answer.connection_id, &label, count).await
}

pub async fn run(o: Options) -> Result<(), String> {
    let to = o.director.ok_or("no director")?;
    let (mut director, mut connection, mut count) = (None, None, Count::default());
    say("ready", json!({}));
    while count.tokens < o.tokens {
        let result = match &director {
            Some(d) => one_worker(d, &o, &mut connection, &mut count).await,
            None => match connect(&o, to).await {
                Ok(d) => one_worker(director.insert(d), &o, &mut connection, &mut count).await,
                Err(why) => Err(format!("director: {why}")),
            },
        };
        if let Err(why) = result {
            if why.starts_with("director: ") {
                director = None;
            }
            say("failed", json!({ "why": why }));
            sleep(PAUSE).await;
        }
    }
    say("done", json!({ "tokens": count.tokens, "workers": count.by_worker }));
    Ok(())
}
