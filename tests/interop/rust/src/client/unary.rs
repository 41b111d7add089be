//! Unary calls: sizes, ids, the built-in methods, the texts of errors.
use crate::{case, check, pattern, same, Case, Outcome, Target};
use rpcnet::RpcClient;
use std::sync::{atomic::Ordering, Arc};

type T = Arc<Target>;

pub fn cases() -> Vec<Case> {
    vec![
        case!("echo_0", 10, "echo of an empty payload", |t| echo(t, 0)),
        case!("echo_1", 10, "echo of 1 byte", |t| echo(t, 1)),
        case!("echo_15", 10, "echo of 15 bytes", |t| echo(t, 15)),
        case!("echo_100", 10, "echo of 100 bytes", |t| echo(t, 100)),
        case!("echo_1k", 10, "echo of 1,000 bytes", |t| echo(t, 1_000)),
        case!("echo_10k", 10, "echo of 10,000 bytes", |t| echo(t, 10_000)),
        case!("echo_100k", 10, "echo of 100,000 bytes", |t| echo(t, 100_000)),
        case!("echo_1m", 20, "echo of 1 MiB", |t| echo(t, 1 << 20)),
        case!("echo_12m", 60, "echo of 12,000,000 bytes, past every flow control window", |t| echo(t, 12_000_000)),
        case!("request_ids", 20, "ids 1..100, 0..3, with high bits and at the wrap come back as sent", request_ids),
        case!("binary_echo", 10, "all 256 byte values through binary_echo", binary_echo),
        case!("reverse", 10, "reverse of ASCII text", |t| method(t, "reverse", b"hello, world", b"dlrow ,olleh")),
        case!("reverse_utf8", 10, "reverse goes by characters, not bytes", |t| method(
            t,
            "reverse",
            "naïve ☃".as_bytes(),
            "☃ evïan".as_bytes()
        )),
        case!("compute", 10, "compute of 0, 1, 1,000 and 100,000 rounds", compute),
        case!("add", 10, "add, of bincode (i64, i64)", add),
        case!("sleep", 10, "sleep of 300 ms takes as long and returns its params", sleep),
        case!("health", 10, "health, bincode {healthy, version, uptime_secs}", health),
        case!("ready", 10, "ready, bincode {ready, workers_available, cluster_size}", ready),
        case!("unknown_method", 10, "exact text for a method that nobody serves", |t| error(
            t,
            "no.such_method",
            b"x",
            "Stream error: Unknown method: no.such_method"
        )),
        case!("unknown_empty", 10, "exact text for an empty method name", unknown_empty),
        case!("fail_text", 10, "exact text of a handler's error, prefix of both sides", |t| error(
            t,
            "fail",
            "disk ☃ full".as_bytes(),
            "Stream error: Stream error: disk ☃ full"
        )),
        case!("bad_params", 10, "exact text for params that are too short to decode", |t| error(
            t,
            "add",
            b"\x01\x02\x03",
            "Stream error: Serialization error: io error: unexpected end of file"
        )),
        case!("errors_then_ok", 10, "errors leave the connection usable", errors_then_ok),
    ]
}

pub async fn call(c: &RpcClient, method: &str, params: &[u8]) -> Result<Vec<u8>, String> {
    c.call(method, params.to_vec()).await.map_err(|e| format!("{method}: {e}"))
}

pub async fn echo_one(c: &RpcClient, len: usize, seed: u64) -> Outcome {
    let data = pattern(len, seed);
    same("echo", &call(c, "echo", &data).await?, &data)
}

async fn echo(t: T, len: usize) -> Outcome {
    let c = t.client().await?;
    for seed in 0..2 {
        echo_one(&c, len, seed).await?;
    }
    Ok(())
}

async fn request_ids(t: T) -> Outcome {
    // The crate takes an answer only if it holds the id of the call.
    let c = t.client().await?;
    for seed in 0..100 {
        echo_one(&c, 32, seed).await?;
    }
    let next = c.next_id.load(Ordering::SeqCst);
    check(next == 101, || format!("next id is {next}, not 101"))?;
    for first in [0, u64::from(u32::MAX) - 1, 1 << 63, u64::MAX - 1] {
        c.next_id.store(first, Ordering::SeqCst);
        for seed in 0..4 {
            echo_one(&c, 32, seed).await.map_err(|e| format!("ids from {first}: {e}"))?;
        }
    }
    Ok(())
}

async fn method(t: T, name: &str, params: &[u8], want: &[u8]) -> Outcome {
    let c = t.client().await?;
    same(name, &call(&c, name, params).await?, want)
}

async fn error(t: T, name: &str, params: &[u8], want: &str) -> Outcome {
    error_on(&t.client().await?, name, params, want).await
}

async fn error_on(c: &RpcClient, name: &str, params: &[u8], want: &str) -> Outcome {
    match c.call(name, params.to_vec()).await {
        Ok(data) => Err(format!("answered with {} bytes, expected an error", data.len())),
        Err(e) => same("error text", e.to_string().as_bytes(), want.as_bytes()),
    }
}

async fn unknown_empty(t: T) -> Outcome {
    let c = t.client().await?;
    c.next_id.store(1000, Ordering::SeqCst); // ids 0 to 2 without a name can read as gossip
    error_on(&c, "", b"x", "Stream error: Unknown method: ").await
}

async fn binary_echo(t: T) -> Outcome {
    let all: Vec<u8> = (0..=255).collect();
    method(t, "binary_echo", &all, &all).await
}

async fn compute(t: T) -> Outcome {
    let c = t.client().await?;
    for n in [0u32, 1, 1_000, 100_000] {
        let mut x = 0u64;
        for i in 0..u64::from(n) {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407).wrapping_add(i);
        }
        same("compute", &call(&c, "compute", &n.to_le_bytes()).await?, &x.to_le_bytes())?;
    }
    Ok(())
}

async fn add(t: T) -> Outcome {
    let c = t.client().await?;
    for (a, b) in [(2i64, 40i64), (-5, 3), (i64::MAX, -1), (i64::MIN, 0)] {
        let params = bincode::serialize(&(a, b)).map_err(|e| e.to_string())?;
        same("add", &call(&c, "add", &params).await?, &(a + b).to_le_bytes())?;
    }
    Ok(())
}

async fn sleep(t: T) -> Outcome {
    let c = t.client().await?;
    let start = std::time::Instant::now();
    let params = 300u64.to_le_bytes();
    same("sleep", &call(&c, "sleep", &params).await?, &params)?;
    let took_ms = start.elapsed().as_millis();
    check((295..1500).contains(&took_ms), || format!("took {took_ms} ms"))
}

async fn health(t: T) -> Outcome {
    let data = call(&t.client().await?, "health", b"").await?;
    let (healthy, version, uptime_s): (bool, String, u64) = bincode::deserialize(&data).map_err(|e| e.to_string())?;
    check(healthy && !version.is_empty() && uptime_s < 1 << 32, || {
        format!("healthy {healthy}, version {version:?}, uptime_secs {uptime_s}")
    })
}

async fn ready(t: T) -> Outcome {
    let data = call(&t.client().await?, "ready", b"").await?;
    check(data.len() == 17, || format!("{} bytes, expected 17", data.len()))?;
    let (ready, _workers, size): (bool, u64, u64) = bincode::deserialize(&data).map_err(|e| e.to_string())?;
    check(ready && size < 1 << 20, || format!("ready {ready}, cluster_size {size}"))
}

async fn errors_then_ok(t: T) -> Outcome {
    let c = t.client().await?;
    for seed in 0..20 {
        error_on(&c, "nope", b"", "Stream error: Unknown method: nope").await?;
        error_on(&c, "fail", b"", "Stream error: Stream error: ").await?;
        echo_one(&c, 50, seed).await?;
    }
    Ok(())
}
