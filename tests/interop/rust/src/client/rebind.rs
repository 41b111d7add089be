//! A client whose source port changes, as behind a NAT that forgets. A relay stands between client and node.
use crate::{case, unary, Case, Outcome, Target};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::UdpSocket,
    sync::{mpsc, oneshot},
    time::timeout,
};

type T = Arc<Target>;

pub fn cases() -> Vec<Case> {
    vec![
        case!("port_change_1", 30, "a new source port, then calls", |t| changes(t, 1)),
        case!("port_change_5", 90, "five new source ports, calls after each", |t| changes(t, 5)),
        case!("port_change_busy", 60, "a new source port in the middle of an echo of 12,000,000 bytes", busy),
    ]
}

/// Forwards datagrams between one client and the node.
struct Relay {
    addr: SocketAddr,
    change: mpsc::Sender<oneshot::Sender<()>>,
}

impl Relay {
    async fn start(node: SocketAddr) -> std::io::Result<Relay> {
        let front = UdpSocket::bind(if node.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" }).await?;
        let addr = front.local_addr()?;
        let (change, commands) = mpsc::channel(1);
        let back = Relay::back(node).await?;
        tokio::spawn(Relay::run(front, back, node, commands));
        Ok(Relay { addr, change })
    }

    /// A socket to the node with a port of its own.
    async fn back(node: SocketAddr) -> std::io::Result<UdpSocket> {
        let socket = UdpSocket::bind(if node.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" }).await?;
        socket.connect(node).await?;
        Ok(socket)
    }

    async fn run(
        front: UdpSocket,
        mut back: UdpSocket,
        node: SocketAddr,
        mut commands: mpsc::Receiver<oneshot::Sender<()>>,
    ) -> std::io::Result<()> {
        let (mut up, mut down) = (vec![0; 65536], vec![0; 65536]);
        let mut client = None;
        loop {
            // A full or refusing socket loses a datagram, as networks do.
            tokio::select! {
                Ok((n, from)) = front.recv_from(&mut up) => {
                    client = Some(from);
                    let _ = back.send(&up[..n]).await;
                }
                Ok(n) = back.recv(&mut down) => if let Some(to) = client {
                    let _ = front.send_to(&down[..n], to).await;
                },
                command = commands.recv() => match command {
                    Some(done) => {
                        back = Relay::back(node).await?;
                        let _ = done.send(());
                    }
                    None => return Ok(()),
                },
            }
        }
    }

    async fn change_port(&self) -> Outcome {
        let (done, changed) = oneshot::channel();
        self.change.send(done).await.map_err(|e| e.to_string())?;
        changed.await.map_err(|e| e.to_string())
    }
}

async fn calls(c: &rpcnet::RpcClient, what: &str) -> Outcome {
    let all = async {
        for (len, seed) in [(100, 1), (100_000, 2), (15, 3)] {
            unary::echo_one(c, len, seed).await?;
        }
        Outcome::Ok(())
    };
    timeout(Duration::from_secs(8), all)
        .await
        .unwrap_or(Err("no answer for 8 s".into()))
        .map_err(|e: String| format!("{what}: {e}"))
}

async fn changes(t: T, n: usize) -> Outcome {
    let relay = Relay::start(t.addr).await.map_err(|e| e.to_string())?;
    let c = t.client_at(relay.addr).await?;
    calls(&c, "before any change").await?;
    for i in 1..=n {
        relay.change_port().await?;
        calls(&c, &format!("after change {i}")).await?;
    }
    Ok(())
}

async fn busy(t: T) -> Outcome {
    let relay = Relay::start(t.addr).await.map_err(|e| e.to_string())?;
    let c = t.client_at(relay.addr).await?;
    let change = async {
        tokio::time::sleep(Duration::from_millis(60)).await;
        relay.change_port().await
    };
    let (echoed, changed) = tokio::join!(unary::echo_one(&c, 12_000_000, 1), change);
    changed.and(echoed)?;
    calls(&c, "after it").await
}
