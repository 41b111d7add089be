//! Many calls at once.
use crate::{case, check, pattern, same, unary, Case, Outcome, Target};
use futures::{stream, TryStreamExt};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

type T = Arc<Target>;

pub fn cases() -> Vec<Case> {
    vec![
        case!("outstanding_10k", 60, "10,000 calls outstanding at once on one connection", outstanding_10k),
        case!("calls_100k", 120, "100,000 calls on one connection, up to 10,000 outstanding", calls_100k),
        case!("round_robin_4x1k", 30, "4 connections, 1,000 calls each, all at once", round_robin),
    ]
}

async fn outstanding_10k(t: T) -> Outcome {
    const CALLS: u64 = 10_000;
    const SLEEP_MS: u64 = 8_000;
    let c = t.client().await?;
    let one = |i: u64| {
        let c = &c;
        async move {
            let params = (SLEEP_MS + i % 500).to_le_bytes();
            same("sleep", &unary::call(c, "sleep", &params).await?, &params)
        }
    };
    let start = Instant::now();
    stream::iter((0..CALLS).map(Ok)).try_for_each_concurrent(None, one).await?;
    // All were open at once if the last one was sent before the first came back.
    let took = start.elapsed();
    check(took < Duration::from_millis(2 * SLEEP_MS), || format!("took {took:?}: not all were outstanding at once"))
}

async fn calls_100k(t: T) -> Outcome {
    const AHEAD: u64 = 10_000;
    let c = Arc::new(t.client().await?);
    // Several tasks, so that the client uses more than one core.
    let lane = |lane: u64| {
        let c = c.clone();
        let one = move |i: u64| {
            let c = c.clone();
            async move { unary::echo_one(&c, 8 + (i % 56) as usize, i).await }
        };
        let ids = (0..100_000u64).filter(move |i| i % 4 == lane).map(Ok);
        tokio::spawn(stream::iter(ids).try_for_each_concurrent(AHEAD as usize / 4, one))
    };
    for task in [lane(0), lane(1), lane(2), lane(3)] {
        task.await.map_err(|e| e.to_string())??;
    }
    unary::echo_one(&c, 64, 1).await
}

async fn round_robin(t: T) -> Outcome {
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(t.client().await?);
    }
    let one = |i: u64| {
        let c = &clients[(i % 4) as usize];
        async move {
            let data = pattern(15, i);
            same("echo", &unary::call(c, "echo", &data).await?, &data)
        }
    };
    stream::iter((0..4_000u64).map(Ok)).try_for_each_concurrent(None, one).await
}
