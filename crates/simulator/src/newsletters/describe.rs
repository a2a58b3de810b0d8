//! A newsletter as `w:mex` describes it: numbers are strings.

use serde_json::{Value, json};

use crate::world::newsletters::Newsletter;

/// The whole object, as this viewer sees it.
pub(crate) fn newsletter(newsletter: &Newsletter, viewer: &str) -> Value {
    let role = newsletter.follower(viewer).map_or("guest", |follower| follower.name());
    let mute = if newsletter.muted.contains(viewer) { "ON" } else { "OFF" };
    let created = newsletter.created_at.to_string();
    let text = |text: &str| json!({ "id": created, "text": text, "update_time": created });
    json!({
        "id": newsletter.jid().to_string(),
        "state": { "type": "active" },
        "thread_metadata": {
            "name": text(&newsletter.name),
            "description": text(&newsletter.description),
            "subscribers_count": newsletter.followers.len().to_string(),
            "verification": "UNVERIFIED",
            "creation_time": created,
            "invite": newsletter.invite,
            "handle": null,
            "picture": { "id": "", "direct_path": "", "type": "IMAGE" },
            "preview": { "id": "", "direct_path": "", "type": "PREVIEW" },
        },
        "viewer_metadata": { "role": role, "mute": mute },
    })
}
