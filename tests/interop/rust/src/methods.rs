//! The built-in methods of a node, on the published crate's server.
use futures::{Stream, StreamExt};
use rpcnet::{RpcError, RpcServer};
use std::time::Duration;

pub async fn register(server: &RpcServer) {
    register_unary(server).await;
    register_streaming(server).await;
}

fn u64_of(params: &[u8]) -> Result<u64, RpcError> {
    Ok(bincode::deserialize(params)?)
}

fn compute(n: u32) -> u64 {
    (0..u64::from(n))
        .fold(0u64, |x, i| x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407).wrapping_add(i))
}

async fn register_unary(server: &RpcServer) {
    server.register("echo", |params| async move { Ok(params) }).await;
    server.register("binary_echo", |params| async move { Ok(params) }).await;
    server
        .register("reverse", |params| async move {
            Ok(String::from_utf8_lossy(&params).chars().rev().collect::<String>().into_bytes())
        })
        .await;
    server
        .register("compute", |params| async move {
            let n: u32 = bincode::deserialize(&params)?;
            Ok(compute(n).to_le_bytes().to_vec())
        })
        .await;
    server.register_typed("add", |(a, b): (i64, i64)| async move { Ok(a.wrapping_add(b)) }).await;
    server
        .register("sleep", |params| async move {
            tokio::time::sleep(Duration::from_millis(u64_of(&params)?)).await;
            Ok(params)
        })
        .await;
    server
        .register(
            "fail",
            |params| async move { Err(RpcError::StreamError(String::from_utf8_lossy(&params).into_owned())) },
        )
        .await;
    let start = std::time::Instant::now();
    server
        .register("health", move |_| async move {
            Ok(bincode::serialize(&(true, "rpcnet 0.1.0", start.elapsed().as_secs()))?)
        })
        .await;
    server.register("ready", |_| async move { Ok(bincode::serialize(&(true, 0u64, 1u64))?) }).await;
}

/// Passes a stream on and turns items that `f` refuses into error items.
fn map_items<S>(items: S, f: fn(Vec<u8>) -> Result<Vec<u8>, RpcError>) -> impl Stream<Item = Result<Vec<u8>, RpcError>>
where
    S: Stream<Item = Vec<u8>>,
{
    items.map(f)
}

async fn register_streaming(server: &RpcServer) {
    server.register_streaming("echo_stream", |items| async move { map_items(items, Ok) }).await;
    server
        .register_streaming("err_stream", |items| async move {
            map_items(items, |item| match item.as_slice() {
                b"ERR" => Err(RpcError::StreamError("asked for".into())),
                _ => Ok(item),
            })
        })
        .await;
    server
        .register_streaming("count_stream", |mut items| async move {
            async_stream::stream! {
                let n = match items.next().await.map(|item| bincode::deserialize::<u32>(&item)) {
                    Some(Ok(n)) => n,
                    Some(Err(e)) => { yield Err(e.into()); 0 }
                    None => 0,
                };
                for i in 0..n {
                    yield Ok(format!("token-{i}").into_bytes());
                }
            }
        })
        .await;
    server
        .register_streaming("sum_stream", |mut items| async move {
            async_stream::stream! {
                let mut sum = 0i64;
                while let Some(item) = items.next().await {
                    match bincode::deserialize::<i64>(&item) {
                        Ok(value) => sum = sum.wrapping_add(value),
                        Err(e) => yield Err(e.into()),
                    }
                }
                yield Ok(sum.to_le_bytes().to_vec());
            }
        })
        .await;
    // Reads on while it sends, as a handler of a duplex stream does. The crate holds one lock for both
    // directions, so here a tick leaves only once the client has sent something.
    server
        .register_streaming("tick_stream", |mut items| async move {
            let drain = tokio::spawn(async move { while items.next().await.is_some() {} });
            async_stream::stream! {
                let mut timer = tokio::time::interval(Duration::from_millis(10));
                for i in 0..20 {
                    timer.tick().await;
                    yield Ok(format!("tick-{i}").into_bytes());
                }
                drain.abort();
            }
        })
        .await;
}
