//! DirectorRegistry.get_worker: one of the workers that the registry knows.
use crate::{
    messages::{GetWorkerRequest, GetWorkerResponse, GET_WORKER},
    say,
};
use rpcnet::{cluster::WorkerRegistry, RpcServer};
use serde_json::json;
use std::{
    collections::{hash_map::RandomState, HashMap},
    hash::{BuildHasher, Hasher},
    sync::{Arc, OnceLock},
};

/// Set once the server has joined: handlers are registered before.
pub type Registry = Arc<OnceLock<Arc<WorkerRegistry>>>;

/// conn-, and a random number in the form of a UUID of version 4.
fn new_connection() -> String {
    let random = || RandomState::new().build_hasher().finish();
    let (a, b) = (random(), random());
    let variant = 0x8000 | (b >> 48 & 0x3fff);
    format!(
        "conn-{:08x}-{:04x}-4{:03x}-{variant:04x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b & 0xffff_ffff_ffff
    )
}

async fn get_worker(registry: Registry, request: GetWorkerRequest) -> GetWorkerResponse {
    let filter = HashMap::from([("role".to_string(), "worker".to_string())]);
    let worker = match registry.get() {
        Some(workers) => workers.select_worker(Some(&filter)).await,
        None => None,
    };
    let connection_id = request.connection_id.unwrap_or_else(new_connection);
    let Some(worker) = worker else {
        let message = Some("No workers available".to_string());
        return GetWorkerResponse { success: false, worker_addr: None, worker_label: None, connection_id, message };
    };
    worker.increment_connections();
    let (id, addr) = (worker.node_id.as_str().to_string(), worker.addr.to_string());
    say("selected", json!({ "id": id, "addr": addr, "connection_id": connection_id }));
    GetWorkerResponse { success: true, worker_addr: Some(addr), worker_label: Some(id), connection_id, message: None }
}

pub async fn register(server: &RpcServer, registry: Registry) {
    let handler = move |request: GetWorkerRequest| {
        let registry = registry.clone();
        async move { Ok(get_worker(registry, request).await) }
    };
    server.register_typed(GET_WORKER, handler).await;
}
