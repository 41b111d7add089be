//! Inference.generate: a token for each request.
use crate::messages::{InferenceError, InferenceRequest, InferenceResponse, Reply, GENERATE};
use futures::{Stream, StreamExt};
use rpcnet::RpcServer;
use std::{
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc,
    },
    time::Duration,
};
use tokio::time::sleep;

/// How long a worker thinks about a token.
const WORK: Duration = Duration::from_millis(200);

fn bytes(reply: Reply) -> Vec<u8> {
    bincode::serialize(&reply).expect("plain data")
}

/// Connected with the first request, then a token for each, until the client ends, sends what is no request, or
/// `failed` is set.
fn generate<S>(label: String, failed: Arc<AtomicBool>, mut requests: S) -> impl Stream<Item = Vec<u8>>
where
    S: Stream<Item = Vec<u8>> + Unpin,
{
    async_stream::stream! {
        let mut greeted = false;
        while let Some(item) = requests.next().await {
            let Ok(request) = bincode::deserialize::<InferenceRequest>(&item) else {
                yield bytes(Err(InferenceError::InvalidRequest(format!("{} bytes", item.len()))));
                return;
            };
            if !greeted {
                greeted = true;
                let (worker, connection_id) = (label.clone(), request.connection_id);
                yield bytes(Ok(InferenceResponse::Connected { worker, connection_id }));
            }
            sleep(WORK).await;
            if failed.load(Ordering::SeqCst) {
                yield bytes(Err(InferenceError::WorkerFailed(label.clone())));
                return;
            }
            let text = format!("[{label}] processed: {}", request.prompt);
            yield bytes(Ok(InferenceResponse::Token { text, sequence: 0 }));
        }
    }
}

pub async fn register(server: &RpcServer, label: String, failed: Arc<AtomicBool>) {
    let handler = move |requests| {
        let (label, failed) = (label.clone(), failed.clone());
        async move { generate(label, failed, requests).map(Ok) }
    };
    server.register_streaming(GENERATE, handler).await;
}
