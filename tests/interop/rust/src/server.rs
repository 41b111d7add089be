//! The published crate's own server with the built-in methods of a node: what our client is tested against and
//! what benchmarks run side by side with.
mod methods;

use rpcnet::{RpcConfig, RpcError, RpcServer};
use std::{path::PathBuf, process::exit};

// As in the crate's own benchmarks.
#[global_allocator]
static GLOBAL: jemallocator::Jemalloc = jemallocator::Jemalloc;

const USAGE: &str = "\
usage: interop-server --cert FILE --key FILE [--bind HOST] [--port PORT] [--threads N]

Serves the built-in methods with the published rpcnet crate until it is stopped.

  --cert, --key   PEM files
  --bind HOST     address to listen on (127.0.0.1)
  --port PORT     UDP port, 0 for any; it is printed (8080)
  --threads N     worker threads of the runtime, 1 for a single-threaded one (number of cores)

example: interop-server --cert node.crt --key node.key --port 9000 --threads 1";

struct Options {
    cert: PathBuf,
    key: PathBuf,
    bind: String,
    port: u16,
    threads: usize,
}

fn usage(why: &str) -> ! {
    eprintln!("interop-server: {why}\n{USAGE}");
    exit(2)
}

fn options() -> Options {
    let mut o = Options {
        cert: PathBuf::new(),
        key: PathBuf::new(),
        bind: "127.0.0.1".into(),
        port: 8080,
        threads: rpcnet::runtime::server_worker_threads(),
    };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        if name == "-h" || name == "--help" {
            println!("{USAGE}");
            exit(0)
        }
        let Some(value) = args.next() else { usage(&format!("{name} needs a value")) };
        let number = || value.parse::<u16>().unwrap_or_else(|_| usage(&format!("{name} {value}: not a number")));
        match name.as_str() {
            "--cert" => o.cert = value.into(),
            "--key" => o.key = value.into(),
            "--bind" => o.bind = value,
            "--port" => o.port = number(),
            "--threads" => o.threads = number().max(1).into(),
            _ => usage(&format!("unknown option {name}")),
        }
    }
    if o.cert.as_os_str().is_empty() || o.key.as_os_str().is_empty() {
        usage("--cert and --key are needed")
    }
    o
}

async fn serve(o: Options) -> Result<(), RpcError> {
    let config = RpcConfig::new(o.cert, format!("{}:{}", o.bind, o.port)).with_key_path(o.key);
    let mut server = RpcServer::new(config);
    methods::register(&server).await;
    let endpoint = server.bind()?; // prints the address
    server.start(endpoint).await
}

fn main() {
    let o = options();
    let mut runtime = match o.threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        n => {
            let mut b = tokio::runtime::Builder::new_multi_thread();
            b.worker_threads(n);
            b
        }
    };
    let runtime = runtime.enable_all().build().expect("a runtime");
    if let Err(e) = runtime.block_on(serve(o)) {
        eprintln!("interop-server: {e}");
        exit(1)
    }
}
