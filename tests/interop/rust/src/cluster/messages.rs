//! What the services of the crate's cluster example say to each other (bincode of these types).
use serde::{Deserialize, Serialize};

pub const GET_WORKER: &str = "DirectorRegistry.get_worker";
pub const GENERATE: &str = "Inference.generate";

#[derive(Serialize, Deserialize)]
pub struct GetWorkerRequest {
    pub connection_id: Option<String>,
    pub prompt: String,
}

#[derive(Serialize, Deserialize)]
pub struct GetWorkerResponse {
    pub success: bool,
    pub worker_addr: Option<String>,
    pub worker_label: Option<String>,
    pub connection_id: String,
    pub message: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub struct InferenceRequest {
    pub connection_id: String,
    pub prompt: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum InferenceResponse {
    Connected { worker: String, connection_id: String },
    Token { text: String, sequence: u64 },
    Error { message: String },
    Done,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum InferenceError {
    WorkerFailed(String),
    InvalidRequest(String),
}

/// Each item of the answer to Inference.generate.
pub type Reply = Result<InferenceResponse, InferenceError>;
