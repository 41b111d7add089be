//! What the crate's API cannot send, over the QUIC library that it uses: splits, surplus, early and late ends.
use crate::{case, check, same, Case, Outcome, Target};
use bytes::Bytes;
use futures::{stream, StreamExt, TryStreamExt};
use s2n_quic::{client::Connect, connection::Handle, provider::limits::Limits, stream::BidirectionalStream, Client};
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

type T = Arc<Target>;

pub fn cases() -> Vec<Case> {
    vec![
        case!("raw_split_unary", 60, "a unary request in two writes, split at every byte", split_unary),
        case!("raw_split_stream", 60, "a streaming request in two writes, split at every byte", split_stream),
        case!("raw_byte_by_byte", 60, "a unary and a streaming request, one byte a packet", byte_by_byte),
        case!("raw_late_first_byte", 10, "an empty first frame, the request 200 ms later", late_first_byte),
        case!("raw_surplus", 10, "of two requests on one stream only the first is answered", surplus),
        case!("raw_fin_with_request", 10, "FIN on the request's last byte", fin_with_request),
        case!("raw_fin_later", 10, "FIN after the answer", fin_later),
        case!("raw_fin_empty", 10, "FIN without a byte: the stream ends, no answer", |t| ends_empty(t, 0)),
        case!("raw_fin_half", 10, "FIN in the middle of a request: the stream ends, no answer", |t| ends_empty(t, 27)),
        case!("raw_reset_half", 10, "a request reset in the middle harms no other", reset_half),
        case!("raw_stop_sending", 10, "STOP_SENDING before the answer harms no other", stop_sending),
        case!("raw_no_end_marker", 10, "FIN in place of the end marker ends a streaming request", no_end_marker),
        case!("raw_huge_length", 20, "lengths of 2^63 and 2^32 - 1: the stream ends, the node lives on", huge_length),
        case!("raw_garbage", 20, "200 streams of random bytes: each ends, the node lives on", garbage),
        case!("raw_reset_freed", 60, "10,500 streams reset half way: more than may be open at once", reset_freed),
        case!(
            "raw_dropped_freed",
            60,
            "10,500 streams dropped after the first item: more than may be open at once",
            dropped_freed
        ),
    ]
}

/// One connection of the QUIC library with the crate's limits.
struct Raw {
    _client: Client,
    handle: Handle,
}

impl Raw {
    async fn connect(t: &Target) -> Result<Raw, String> {
        let limits = Limits::new()
            .with_max_open_local_bidirectional_streams(10_000)
            .and_then(|l| l.with_data_window(16 << 20))
            .and_then(|l| l.with_bidirectional_local_data_window(8 << 20))
            .and_then(|l| l.with_initial_round_trip_time(Duration::from_millis(1)))
            .and_then(|l| l.with_max_ack_delay(Duration::from_millis(5)))
            .map_err(|e| e.to_string())?;
        let io = if t.addr.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
        let client = Client::builder()
            .with_tls(t.cert.as_path())
            .map_err(|e| e.to_string())?
            .with_limits(limits)
            .map_err(|e| e.to_string())?
            .with_io(io)
            .map_err(|e| e.to_string())?
            .start()
            .map_err(|e| e.to_string())?;
        let connect = Connect::new(t.addr).with_server_name(t.server_name.as_str());
        let mut connection = client.connect(connect).await.map_err(|e| format!("connect: {e}"))?;
        connection.keep_alive(true).map_err(|e| e.to_string())?;
        Ok(Raw { _client: client, handle: connection.handle() })
    }

    async fn open(&self) -> Result<BidirectionalStream, String> {
        self.handle.clone().open_bidirectional_stream().await.map_err(|e| format!("open: {e}"))
    }

    /// Sends each part in a packet of its own, then reads to the end without a FIN of ours.
    async fn ask(&self, parts: &[&[u8]]) -> Result<Vec<u8>, String> {
        let mut s = self.open().await?;
        for (i, part) in parts.iter().enumerate() {
            send(&mut s, part).await?;
            if i + 1 < parts.len() {
                s.flush().await.map_err(|e| format!("flush: {e}"))?; // until it is acknowledged
            }
        }
        read_to_end(&mut s).await
    }

    async fn echo(&self) -> Outcome {
        same("echo after it", &self.ask(&[&unary(9, "echo", b"still here")]).await?, &answer(9, b"still here"))
    }
}

async fn send(s: &mut BidirectionalStream, data: &[u8]) -> Outcome {
    s.send(Bytes::copy_from_slice(data)).await.map_err(|e| format!("send: {e}"))
}

async fn read_to_end(s: &mut BidirectionalStream) -> Result<Vec<u8>, String> {
    let mut all = Vec::new();
    loop {
        match timeout(Duration::from_secs(5), s.receive()).await {
            Ok(Ok(Some(data))) => all.extend_from_slice(&data),
            Ok(Ok(None)) => return Ok(all),
            Ok(Err(e)) => return Err(format!("receive after {} bytes: {e}", all.len())),
            Err(_) => return Err(format!("no end of the stream for 5 s after {} bytes", all.len())),
        }
    }
}

fn unary(id: u64, method: &str, params: &[u8]) -> Vec<u8> {
    bincode::serialize(&(id, method, params)).expect("plain data")
}

fn answer(id: u64, result: &[u8]) -> Vec<u8> {
    bincode::serialize(&(id, Some(result), None::<String>)).expect("plain data")
}

fn frame(data: &[u8]) -> Vec<u8> {
    [&(data.len() as u32).to_le_bytes()[..], data].concat()
}

/// Name, items and end marker of a streaming request; without a name, of a response.
fn frames(name: Option<&str>, items: &[&[u8]]) -> Vec<u8> {
    let mut all: Vec<u8> = name.map(|n| frame(n.as_bytes())).unwrap_or_default();
    items.iter().for_each(|item| all.extend(frame(item)));
    all.extend([0; 4]);
    all
}

async fn split_at_every_byte(t: T, request: &[u8], want: &[u8]) -> Outcome {
    let raw = Raw::connect(&t).await?;
    for run in 0..2 {
        for at in 1..request.len() {
            let got = raw
                .ask(&[&request[..at], &request[at..]])
                .await
                .map_err(|e| format!("run {run}, split at {at}: {e}"))?;
            same(&format!("run {run}, split at {at}"), &got, want)?;
        }
    }
    Ok(())
}

async fn split_unary(t: T) -> Outcome {
    split_at_every_byte(t, &unary(1, "echo", b"\xde\xad\xbe\xef"), &answer(1, b"\xde\xad\xbe\xef")).await
}

async fn split_stream(t: T) -> Outcome {
    let items: [&[u8]; 3] = [b"hello", b"\0", b"0123456789"];
    split_at_every_byte(t, &frames(Some("echo_stream"), &items), &frames(None, &items)).await
}

async fn byte_by_byte(t: T) -> Outcome {
    let raw = Raw::connect(&t).await?;
    let bytes = |all: Vec<u8>| all.into_iter().map(|b| vec![b]).collect::<Vec<_>>();
    let request = bytes(unary(2, "reverse", b"drawer"));
    let parts: Vec<&[u8]> = request.iter().map(Vec::as_slice).collect();
    same("unary", &raw.ask(&parts).await?, &answer(2, b"reward"))?;
    let request = bytes(frames(Some("echo_stream"), &[b"ab", b"c"]));
    let parts: Vec<&[u8]> = request.iter().map(Vec::as_slice).collect();
    same("stream", &raw.ask(&parts).await?, &frames(None, &[b"ab", b"c"]))
}

async fn late_first_byte(t: T) -> Outcome {
    let raw = Raw::connect(&t).await?;
    let mut s = raw.open().await?; // sends an empty STREAM frame
    sleep(Duration::from_millis(200)).await;
    send(&mut s, &unary(3, "echo", b"late")).await?;
    same("echo", &read_to_end(&mut s).await?, &answer(3, b"late"))
}

async fn surplus(t: T) -> Outcome {
    let raw = Raw::connect(&t).await?;
    let both = [unary(4, "echo", b"first"), unary(5, "echo", b"second")].concat();
    same("in one write", &raw.ask(&[&both]).await?, &answer(4, b"first"))?;
    let mut s = raw.open().await?;
    send(&mut s, &unary(4, "sleep", &100u64.to_le_bytes())).await?;
    s.flush().await.map_err(|e| e.to_string())?;
    let _ = send(&mut s, &unary(5, "echo", b"second")).await; // may find the stream stopped already
    same("while the first runs", &read_to_end(&mut s).await?, &answer(4, &100u64.to_le_bytes()))?;
    raw.echo().await
}

async fn fin_with_request(t: T) -> Outcome {
    let raw = Raw::connect(&t).await?;
    let mut s = raw.open().await?;
    send(&mut s, &unary(6, "echo", b"bye")).await?;
    s.finish().map_err(|e| e.to_string())?;
    same("echo", &read_to_end(&mut s).await?, &answer(6, b"bye"))
}

async fn fin_later(t: T) -> Outcome {
    let raw = Raw::connect(&t).await?;
    let mut s = raw.open().await?;
    send(&mut s, &unary(7, "echo", b"bye")).await?;
    same("echo", &read_to_end(&mut s).await?, &answer(7, b"bye"))?;
    sleep(Duration::from_millis(100)).await;
    let _ = s.finish(); // the node may have stopped this direction
    raw.echo().await
}

/// Sends `len` bytes of a request and FIN; the stream has to end without a byte, or by a reset.
async fn ends_empty(t: T, len: usize) -> Outcome {
    let part = &unary(1, "echo", b"1234")[..len];
    let raw = Raw::connect(&t).await?;
    let mut s = raw.open().await?;
    if !part.is_empty() {
        send(&mut s, part).await?;
    }
    s.finish().map_err(|e| e.to_string())?;
    match read_to_end(&mut s).await {
        Ok(all) => same("answer", &all, b"")?,
        Err(e) => check(e.contains("reset"), || e)?,
    }
    raw.echo().await
}

async fn reset_half(t: T) -> Outcome {
    let raw = Raw::connect(&t).await?;
    let request = unary(8, "echo", &[7; 5000]);
    for at in [1, 8, 30, 3000] {
        let mut s = raw.open().await?;
        send(&mut s, &request[..at]).await?;
        s.flush().await.map_err(|e| e.to_string())?;
        s.reset(1u8.into()).map_err(|e| e.to_string())?;
        raw.echo().await?;
    }
    Ok(())
}

async fn stop_sending(t: T) -> Outcome {
    let raw = Raw::connect(&t).await?;
    for request in [
        unary(8, "sleep", &50u64.to_le_bytes()),
        frames(Some("count_stream"), &[&1_000_000u32.to_le_bytes()]),
        frames(Some("tick_stream"), &[]),
    ] {
        let mut s = raw.open().await?;
        send(&mut s, &request).await?;
        s.stop_sending(0u8.into()).map_err(|e| e.to_string())?;
        raw.echo().await?;
    }
    sleep(Duration::from_millis(100)).await;
    raw.echo().await
}

async fn no_end_marker(t: T) -> Outcome {
    let raw = Raw::connect(&t).await?;
    let mut s = raw.open().await?;
    let whole = frames(Some("echo_stream"), &[b"a", b"b"]);
    send(&mut s, &whole[..whole.len() - 4]).await?;
    s.finish().map_err(|e| e.to_string())?;
    same("stream", &read_to_end(&mut s).await?, &frames(None, &[b"a", b"b"]))
}

/// The stream has to end in some way, in time.
async fn ends(s: &mut BidirectionalStream) -> Outcome {
    match read_to_end(s).await {
        Err(e) if e.starts_with("no end") => Err(e),
        _ => Ok(()),
    }
}

async fn huge_length(t: T) -> Outcome {
    let raw = Raw::connect(&t).await?;
    let length = |n: u64| n.to_le_bytes();
    let method = [&length(1)[..], &length(1 << 63)].concat();
    let params = [&length(1)[..], &length(4), b"echo", &length(1 << 63), b"some"].concat();
    let item = [&frame(b"echo_stream")[..], &u32::MAX.to_le_bytes(), b"some"].concat();
    for (what, request) in [("method", method), ("params", params), ("item", item)] {
        let mut s = raw.open().await?;
        send(&mut s, &request).await?;
        let _ = s.finish(); // the node may have refused already
        ends(&mut s).await.map_err(|e| format!("{what}: {e}"))?;
        raw.echo().await?;
    }
    Ok(())
}

async fn garbage(t: T) -> Outcome {
    let raw = Raw::connect(&t).await?;
    for seed in 0..200u64 {
        let mut s = raw.open().await?;
        let bytes = crate::pattern(1 + (seed as usize * 37) % 3000, seed);
        send(&mut s, &bytes).await.or_else(|e| check(e.contains("reset"), || e))?;
        let _ = s.finish();
        ends(&mut s).await.map_err(|e| format!("stream {seed}: {e}"))?;
    }
    raw.echo().await
}

/// Opens more streams than the node allows at once, 100 at a time.
async fn many<F, Fut>(t: &Target, one: F) -> Outcome
where
    F: Fn(BidirectionalStream) -> Fut,
    Fut: std::future::Future<Output = Outcome>,
{
    let raw = Raw::connect(t).await?;
    let (r, f) = (&raw, &one);
    let opened = stream::iter(0..10_500).map(|i| async move {
        let s = timeout(Duration::from_secs(10), r.open()).await.map_err(|_| format!("stream {i}: no credit"))??;
        f(s).await.map_err(|e| format!("stream {i}: {e}"))
    });
    opened.buffer_unordered(100).try_collect::<()>().await?;
    raw.echo().await
}

async fn reset_freed(t: T) -> Outcome {
    let half = unary(1, "echo", &[1; 100])[..60].to_vec();
    many(&t, |mut s| {
        let half = half.clone();
        async move {
            send(&mut s, &half).await?;
            s.reset(1u8.into()).map_err(|e| e.to_string())
        }
    })
    .await
}

async fn dropped_freed(t: T) -> Outcome {
    let whole = frames(Some("echo_stream"), &[b"item"]);
    let open = whole[..whole.len() - 4].to_vec(); // no end marker: the node waits for more
    many(&t, |mut s| {
        let open = open.clone();
        async move {
            send(&mut s, &open).await?;
            match s.receive().await {
                Ok(Some(data)) => same("item", &data, &frame(b"item")),
                other => Err(format!("{other:?}")),
            } // dropping it sends FIN and STOP_SENDING
        }
    })
    .await
}
