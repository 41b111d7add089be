//! What the crate logs about gossip, as lines.
use crate::say;
use serde_json::json;
use std::fmt::{Debug, Write};
use tracing::{
    field::{Field, Visit},
    span, Event, Metadata, Subscriber,
};

struct Lines;
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        }
    }
}

impl Subscriber for Lines {
    fn enabled(&self, about: &Metadata<'_>) -> bool {
        about.is_event() && about.target().starts_with("rpcnet")
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        // Only what has to do with gossip: the rest is a line for each chunk of each call.
        if let Some(at) = text.0.find("[SWIM] ") {
            say("trace", json!({ "text": text.0[at + 7..] }));
        }
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

pub fn install() {
    let _ = tracing::subscriber::set_global_default(Lines);
}
