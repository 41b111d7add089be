//! A node of the cluster: a server, its membership, its registry of workers.
use crate::{
    commands::{self, Member},
    director, inference, methods,
    options::{any_like, Options, Role},
    say,
};
use rpcnet::{
    cluster::{ClusterConfig, ClusterEvent, ClusterEventReceiver, ClusterMembership, NodeId, WorkerRegistry},
    RpcConfig, RpcServer,
};
use serde_json::json;
use std::{net::SocketAddr, sync::Arc, time::Duration};

async fn print_events(mut events: ClusterEventReceiver) {
    loop {
        match events.recv().await {
            Ok(ClusterEvent::NodeJoined(node)) => say("node_joined", json!({ "id": node.id.as_str() })),
            Ok(ClusterEvent::NodeLeft(id)) => say("node_left", json!({ "id": id.as_str() })),
            Ok(ClusterEvent::NodeFailed(id)) => say("node_failed", json!({ "id": id.as_str() })),
            Ok(ClusterEvent::NodeRecovered(id)) => say("node_recovered", json!({ "id": id.as_str() })),
            Ok(ClusterEvent::NodeTagsUpdated { node_id, tags }) => {
                say("node_tags_updated", json!({ "id": node_id.as_str(), "tags": tags }))
            }
            Ok(ClusterEvent::PartitionDetected { status }) => {
                say("partition", json!({ "status": format!("{status:?}") }))
            }
            Ok(ClusterEvent::EventsDropped { count }) => say("events_dropped", json!({ "count": count })),
            Err(e) => return say("events_end", json!({ "why": e.to_string() })),
        }
    }
}

/// Joins until a seed answers: a join that failed cannot be repeated on the same membership, so each is a new one.
async fn join(server: &RpcServer, o: &Options, addr: SocketAddr) -> Result<Arc<ClusterMembership>, String> {
    let config =
        ClusterConfig { node_id: o.id.clone().map(NodeId::new), gossip: o.gossip.clone(), ..Default::default() };
    let dialler = s2n_quic::Client::builder()
        .with_tls(o.cert.as_path())
        .map_err(|e| e.to_string())?
        .with_io(any_like(&addr))
        .map_err(|e| e.to_string())?
        .start()
        .map_err(|e| e.to_string())?;
    let dialler = Arc::new(dialler);
    while let Err(e) = server.enable_cluster(config.clone(), o.seeds.clone(), dialler.clone()).await {
        say("join_failed", json!({ "why": e.to_string() }));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    server.cluster().await.ok_or("no membership after joining".to_string())
}

/// The tags of the role, then those of the command line, as the crate's example sets them: one at a time.
async fn set_tags(cluster: &ClusterMembership, o: &Options, label: &str) {
    let role = match o.role {
        Role::Worker => vec![("role", "worker"), ("label", label)],
        Role::Director => vec![("role", "director")],
        _ => vec![],
    };
    for (key, value) in role {
        if !o.tags.iter().any(|(given, _)| given == key) {
            cluster.update_tag(key.into(), value.into()).await;
        }
    }
    for (key, value) in &o.tags {
        cluster.update_tag(key.clone(), value.clone()).await;
    }
}

pub async fn run(o: Options) -> Result<(), String> {
    let mut server = RpcServer::new(RpcConfig::new(&o.cert, &o.addr).with_key_path(&o.key));
    let (registry, failed) = (director::Registry::default(), Arc::default());
    let endpoint = server.bind().map_err(|e| e.to_string())?;
    let addr = endpoint.local_addr().map_err(|e| e.to_string())?;
    let id = o.id.clone().unwrap_or_else(|| format!("node-{addr}"));
    methods::register(&server).await;
    let calls = commands::count_calls(&server).await;
    if o.role == Role::Worker {
        inference::register(&server, id.clone(), Arc::clone(&failed)).await;
    }
    if o.role == Role::Director {
        director::register(&server, registry.clone()).await;
    }
    let cluster = join(&server, &o, addr).await?;
    say("joined", json!({ "id": id, "addr": addr.to_string() }));
    tokio::spawn(print_events(cluster.subscribe()));
    set_tags(&cluster, &o, &id).await;
    let workers = Arc::new(WorkerRegistry::new(cluster.clone(), o.strategy));
    workers.start().await;
    let _ = registry.set(workers.clone());
    let serving = tokio::spawn(async move { server.start(endpoint).await });
    say("ready", json!({ "id": id, "addr": addr.to_string() }));
    commands::serve(Member::new(cluster, workers, o.rpc(&addr), failed, calls)).await;
    serving.abort();
    Ok(())
}
