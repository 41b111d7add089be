//! The three kinds of streaming, errors inside a stream, full duplex, early ends.
use crate::{case, check, pattern, same, unary, Case, Outcome, Target};
use futures::{stream, Stream, StreamExt};
use rpcnet::{streaming::StreamError, RpcClient, RpcError};
use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc,
    },
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, time::sleep};

type T = Arc<Target>;
type Items = Vec<Vec<u8>>;

pub fn cases() -> Vec<Case> {
    vec![
        case!("echo_stream_500", 20, "500 messages there and back, in order", echo_stream_500),
        case!("echo_stream_ping_pong", 20, "100 times: the next message goes out when the last came back", ping_pong),
        case!("count_stream_1000", 20, "one request, 1,000 tokens", |t| count(t, 1000)),
        case!("count_stream_0", 10, "one request, no token", |t| count(t, 0)),
        case!("sum_stream_1000", 20, "1,000 numbers, one answer", |t| sum(t, 1000)),
        case!("sum_stream_0", 10, "no number, one answer", |t| sum(t, 0)),
        case!("tick_duplex", 10, "20 ticks arrive while the client is sending", tick_duplex),
        case!("tick_idle", 10, "20 ticks arrive while the client sends nothing (full duplex)", tick_idle),
        case!("err_stream", 10, "an error item becomes an error frame and the stream goes on", err_stream),
        case!("empty_item_ends", 10, "an empty item is the end of the request", empty_item_ends),
        case!("frames_5mb", 60, "two frames of 5,000,000 bytes through echo_stream", frames_5mb),
        case!("frame_sizes", 20, "frames of 1, 3, 4, 5, 1,199 .. 65,537 bytes", frame_sizes),
        case!("concurrent_streams", 30, "50 echo streams of 100 messages at once on one connection", concurrent),
        case!("mixed", 20, "unary calls beside a running stream", mixed),
        case!(
            "early_drop",
            60,
            "100 streams of a million tokens dropped after the first: the connection lives on",
            early_drop
        ),
        case!(
            "stream_unknown",
            10,
            "a stream to an unknown method is answered at once, not by the client's timeout",
            unknown
        ),
    ]
}

/// How a response stream came to its end.
#[derive(Debug, PartialEq)]
enum End {
    Marker,
    Timeout,
    Error(String),
}

/// All items of a response stream.
async fn collect<S>(items: S) -> (Items, End)
where
    S: Stream<Item = Result<Vec<u8>, StreamError<RpcError>>>,
{
    let mut items = Box::pin(items);
    let mut got = Vec::new();
    loop {
        match items.next().await {
            Some(Ok(item)) => got.push(item),
            Some(Err(StreamError::Timeout)) => return (got, End::Timeout),
            Some(Err(StreamError::Transport(e) | StreamError::Item(e))) => return (got, End::Error(e.to_string())),
            None => return (got, End::Marker),
        }
    }
}

/// Sends `send` and expects exactly `want` and a proper end.
async fn exchange<S>(c: &RpcClient, method: &str, send: S, want: &[Vec<u8>]) -> Outcome
where
    S: Stream<Item = Vec<u8>> + Send + 'static,
{
    let items = c.call_streaming(method, send).await.map_err(|e| e.to_string())?;
    let (got, end) = collect(items).await;
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        same(&format!("{method}: item {i}"), got, want)?;
    }
    check(got.len() == want.len() && end == End::Marker, || {
        format!("{method}: {} items of {}, end {end:?}", got.len(), want.len())
    })
}

fn messages(n: usize) -> Items {
    (0..n).map(|i| format!("message-{i}").into_bytes()).collect()
}

async fn echo_stream_500(t: T) -> Outcome {
    let c = t.client().await?;
    exchange(&c, "echo_stream", stream::iter(messages(500)), &messages(500)).await
}

async fn ping_pong(t: T) -> Outcome {
    let c = t.client().await?;
    let (tx, mut rx) = mpsc::unbounded_channel::<Vec<u8>>();
    let send = async_stream::stream! { while let Some(item) = rx.recv().await { yield item } };
    let items = c.call_streaming("echo_stream", send).await.map_err(|e| e.to_string())?;
    let mut items = Box::pin(items);
    for i in 0..100u64 {
        let data = pattern(20 + i as usize, i);
        tx.send(data.clone()).map_err(|e| e.to_string())?;
        match items.next().await {
            Some(Ok(item)) => same("echo", &item, &data)?,
            other => return Err(format!("message {i}: {other:?}")),
        }
    }
    drop(tx);
    check(items.next().await.is_none(), || "no end after the last message".into())
}

async fn count(t: T, n: u32) -> Outcome {
    let c = t.client().await?;
    let items = c.call_server_streaming("count_stream", n.to_le_bytes().to_vec()).await.map_err(|e| e.to_string())?;
    let (got, end) = collect(items).await;
    let want: Items = (0..n).map(|i| format!("token-{i}").into_bytes()).collect();
    check(got == want && end == End::Marker, || format!("{} items of {n}, end {end:?}", got.len()))
}

async fn sum(t: T, n: i64) -> Outcome {
    let c = t.client().await?;
    let numbers: Items = (0..n).map(|i| (i * i - 1000).to_le_bytes().to_vec()).collect();
    let want: i64 = (0..n).map(|i| i * i - 1000).sum();
    let got = c.call_client_streaming("sum_stream", stream::iter(numbers)).await.map_err(|e| e.to_string())?;
    same("sum", &got, &want.to_le_bytes())
}

/// Receives the 20 ticks and the end; `seen` counts along. The first has to come within 0.5 s of the call, the last
/// after 0.15 to 1.5 s.
async fn ticks<S>(c: &RpcClient, send: S, seen: Arc<AtomicUsize>) -> Outcome
where
    S: Stream<Item = Vec<u8>> + Send + 'static,
{
    let start = Instant::now();
    let items = c.call_streaming("tick_stream", send).await.map_err(|e| e.to_string())?;
    let mut items = Box::pin(items);
    let mut first = Duration::MAX;
    for i in 0..20 {
        match items.next().await {
            Some(Ok(item)) => same("tick", &item, format!("tick-{i}").as_bytes())?,
            other => return Err(format!("tick {i}: {other:?}")),
        }
        first = first.min(start.elapsed());
        seen.fetch_add(1, Ordering::SeqCst);
    }
    let last = start.elapsed();
    check(items.next().await.is_none(), || "more than 20 ticks".into())?;
    let in_time = first < Duration::from_millis(500) && (150..1500).contains(&last.as_millis());
    check(in_time, || format!("first tick after {first:?}, last after {last:?}"))
}

async fn tick_duplex(t: T) -> Outcome {
    let c = t.client().await?;
    let sent = Arc::new(AtomicUsize::new(0));
    let sent_too = sent.clone();
    let send = async_stream::stream! {
        // Goes on until the stream ends, far longer than the 20 ticks take.
        for i in 0..2_000 {
            sleep(Duration::from_millis(5)).await;
            sent_too.store(i, Ordering::SeqCst);
            yield pattern(200, i as u64);
        }
    };
    ticks(&c, send, Arc::default()).await?;
    let sent = sent.load(Ordering::SeqCst);
    check((15..1_999).contains(&sent), || format!("the client had sent {sent} items by the last tick"))
}

async fn tick_idle(t: T) -> Outcome {
    let c = t.client().await?;
    let seen = Arc::new(AtomicUsize::new(0));
    let s = seen.clone();
    let send = async_stream::stream! {
        while s.load(Ordering::SeqCst) < 20 {
            sleep(Duration::from_millis(20)).await;
        }
        yield b"all ticks seen".to_vec();
    };
    ticks(&c, send, seen).await
}

async fn err_stream(t: T) -> Outcome {
    let c = t.client().await?;
    let bytes = |items: &[&str]| -> Items { items.iter().map(|s| s.as_bytes().to_vec()).collect() };
    let send = bytes(&["a", "ERR", "b", "ERR", "ERR", "last"]);
    let error = "Error processing request";
    let want = bytes(&["a", error, "b", error, error, "last"]);
    exchange(&c, "err_stream", stream::iter(send), &want).await
}

async fn empty_item_ends(t: T) -> Outcome {
    let c = t.client().await?;
    let send: Items = vec![b"one".to_vec(), b"two".to_vec(), Vec::new(), b"three".to_vec()];
    exchange(&c, "echo_stream", stream::iter(send.clone()), &send[..2]).await?;
    unary::echo_one(&c, 100, 1).await
}

async fn frames_5mb(t: T) -> Outcome {
    // One item may take longer than the 3 s that the crate waits for by default.
    let config = t.config().with_default_stream_timeout(Duration::from_secs(25));
    let c = RpcClient::connect(t.addr, config).await.map_err(|e| e.to_string())?;
    let send: Items = vec![pattern(5_000_000, 1), pattern(5_000_000, 2)];
    exchange(&c, "echo_stream", stream::iter(send.clone()), &send).await
}

async fn frame_sizes(t: T) -> Outcome {
    let c = t.client().await?;
    let sizes = [1, 3, 4, 5, 1199, 1200, 1201, 4096, 16_383, 16_384, 65_535, 65_536, 65_537];
    let send: Items = sizes.iter().map(|&n| pattern(n, n as u64)).collect();
    exchange(&c, "echo_stream", stream::iter(send.clone()), &send).await
}

async fn concurrent(t: T) -> Outcome {
    let c = t.client().await?;
    let one = |s: u64| {
        let items: Items = (0..100).map(|i| pattern(16, s * 100 + i)).collect();
        let c = &c;
        async move { exchange(c, "echo_stream", stream::iter(items.clone()), &items).await }
    };
    futures::future::try_join_all((0..50).map(one)).await.map(|_| ())
}

async fn mixed(t: T) -> Outcome {
    let c = t.client().await?;
    let items: Items = (0..200u64).map(|i| pattern(500, i)).collect();
    let slow = stream::iter(items.clone()).then(|item| async {
        sleep(Duration::from_millis(2)).await;
        item
    });
    let calls = async {
        for seed in 0..100 {
            unary::echo_one(&c, 300, seed).await?;
        }
        Ok(())
    };
    let (a, b) = tokio::join!(exchange(&c, "echo_stream", slow, &items), calls);
    a.and(b)
}

async fn early_drop(t: T) -> Outcome {
    let c = t.client().await?;
    for i in 0..100 {
        let n = 1_000_000u32.to_le_bytes().to_vec();
        let items = c.call_server_streaming("count_stream", n).await.map_err(|e| e.to_string())?;
        let mut items = Box::pin(items);
        match items.next().await {
            Some(Ok(item)) => same("token", &item, b"token-0")?,
            other => return Err(format!("stream {i}: {other:?}")),
        }
    }
    let start = Instant::now();
    unary::echo_one(&c, 1 << 20, 1).await?;
    let took = start.elapsed();
    check(took < Duration::from_secs(5), || format!("an echo of 1 MiB then took {took:?}"))
}

async fn unknown(t: T) -> Outcome {
    let c = t.client().await?;
    let start = Instant::now();
    let items = c.call_streaming("no.such_stream", stream::iter(messages(2))).await.map_err(|e| e.to_string())?;
    let (got, end) = collect(items).await;
    let took = start.elapsed();
    check(end == End::Marker && got.len() == 1 && took < Duration::from_secs(1), || {
        format!("{} items, end {end:?} after {took:?}; expected one error frame and the end within 1 s", got.len())
    })?;
    unary::echo_one(&c, 100, 1).await
}
