//! Members of a cluster, and the client of its director, on the published crate as it is. They do what a line on their
//! standard input says and print one JSON object a line.
mod ask;
mod client;
mod commands;
mod director;
mod inference;
mod member;
mod messages;
#[path = "../methods.rs"]
mod methods;
mod options;
mod trace;

use options::{Options, Role};
use std::{process::exit, time::SystemTime};

/// Prints a line of what happened, with the time in seconds since 1970.
pub fn say(event: &str, mut what: serde_json::Value) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    what["event"] = event.into();
    what["at"] = now.as_secs_f64().into();
    println!("{what}");
}

fn main() {
    let o: Options = options::read();
    if o.trace {
        trace::install();
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let done = runtime.block_on(async {
        match o.role {
            Role::Client => client::run(o).await,
            Role::Ask => ask::run(o).await,
            _ => member::run(o).await,
        }
    });
    // The thread that reads standard input never ends by itself.
    runtime.shutdown_background();
    if let Err(why) = done {
        eprintln!("interop-cluster: {why}");
        exit(1)
    }
}
