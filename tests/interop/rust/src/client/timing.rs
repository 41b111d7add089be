//! Cases that mostly wait.
use crate::{case, check, same, unary, Case, Outcome, Target};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

type T = Arc<Target>;

pub fn cases() -> Vec<Case> {
    vec![
        case!(waits "sleep_31s", 60, "a call of 31 s ends in the client's `Request timeout`, its connection lives on", sleep_31s),
        case!(waits "idle_65s", 90, "65 s without a call: keep-alive holds the connection", idle_65s),
    ]
}

async fn sleep_31s(t: T) -> Outcome {
    let c = t.client().await?;
    let start = Instant::now();
    match c.call("sleep", 31_000u64.to_le_bytes().to_vec()).await {
        Ok(_) => return Err("answered".into()),
        Err(e) => same("error text", e.to_string().as_bytes(), b"Request timeout")?,
    }
    let took_s = start.elapsed().as_secs_f64();
    check((29.5..32.0).contains(&took_s), || format!("took {took_s:.1} s"))?;
    unary::echo_one(&c, 100, 1).await
}

async fn idle_65s(t: T) -> Outcome {
    let c = t.client().await?;
    unary::echo_one(&c, 100, 1).await?;
    tokio::time::sleep(Duration::from_secs(65)).await;
    let start = Instant::now();
    unary::echo_one(&c, 100, 2).await?;
    let took = start.elapsed();
    check(took < Duration::from_secs(2), || format!("the call after it took {took:?}"))
}
