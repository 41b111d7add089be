//! A client that is killed in the middle of calls. That the node frees its streams is seen in the node's statistics.
use crate::{case, unary, Case, Outcome, Target};
use std::{process::Stdio, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

type T = Arc<Target>;
const CALLS: usize = 200;

pub fn cases() -> Vec<Case> {
    vec![case!("killed_client", 30, "a client killed with 200 calls open; others are served on", killed_client)]
}

async fn killed_client(t: T) -> Outcome {
    let other = t.client().await?;
    let exe = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut child = Command::new(exe)
        .args(["--addr", &t.addr.to_string(), "--server-name", &t.server_name, "killed-child", "--cert"])
        .arg(&t.cert)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| format!("child: {e}"))?;
    let Some(out) = child.stdout.take() else { return Err("child: no output".into()) };
    let line = BufReader::new(out).lines().next_line().await.map_err(|e| e.to_string())?;
    if line.as_deref() != Some("open") {
        return Err(format!("child: {line:?}"));
    }
    child.kill().await.map_err(|e| format!("kill: {e}"))?; // SIGKILL
    for seed in 0..10 {
        unary::echo_one(&other, 1000, seed).await?;
    }
    unary::echo_one(&t.client().await?, 1000, 1).await
}

/// The process to be killed: says `open` once its calls wait at the node, and never ends.
pub async fn child(t: Target) {
    let c = match t.client().await {
        Ok(c) => Arc::new(c),
        Err(e) => {
            println!("{e}");
            return;
        }
    };
    for _ in 0..CALLS {
        let c = c.clone();
        tokio::spawn(async move { c.call("sleep", 25_000u64.to_le_bytes().to_vec()).await });
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    match unary::echo_one(&c, 100, 1).await {
        Ok(()) => println!("open"),
        Err(e) => println!("{e}"),
    }
    futures::future::pending::<()>().await;
}
