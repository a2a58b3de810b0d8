//! The names in the environment under which Evolution API takes its settings, so that a compose file of
//! theirs starts this server. Our own names win; what has no meaning here is named at the start.

use super::{Flags, given};
use crate::evolution::{EvolutionSettings, GlobalWebhook, MetricsAccess};
use flowcore_domain::engine::Browser;
use flowcore_domain::event::EventKind;
use flowcore_domain::proxy::{Proxy, ProxyProtocol};
use flowcore_gateway::Linking;
use std::collections::BTreeMap;

/// The names that are read.
const READ: [&str; 21] = [
    "SERVER_PORT",
    "SERVER_URL",
    "AUTHENTICATION_API_KEY",
    "AUTHENTICATION_EXPOSE_IN_FETCH_INSTANCES",
    "DATABASE_CONNECTION_URI",
    "WEBHOOK_GLOBAL_URL",
    "WEBHOOK_GLOBAL_ENABLED",
    "WEBHOOK_GLOBAL_WEBHOOK_BY_EVENTS",
    "PROMETHEUS_METRICS",
    "METRICS_AUTH_REQUIRED",
    "METRICS_USER",
    "METRICS_PASSWORD",
    "WEBHOOK_EVENTS_",
    "QRCODE_LIMIT",
    "CONFIG_SESSION_PHONE_CLIENT",
    "CONFIG_SESSION_PHONE_NAME",
    "PROXY_HOST",
    "PROXY_PORT",
    "PROXY_PROTOCOL",
    "PROXY_USERNAME",
    "PROXY_PASSWORD",
];

/// The names that only Evolution has: one of them, and the others are taken for its too.
const SURE: [&str; 3] =
    ["AUTHENTICATION_API_KEY", "DATABASE_CONNECTION_URI", "CONFIG_SESSION_PHONE_CLIENT"];

/// How the names begin that have no meaning here.
const IGNORED: [&str; 39] = [
    "SERVER_TYPE",
    "SERVER_NAME",
    "SERVER_DISABLE_",
    "SSL_CONF_",
    "CORS_",
    "DATABASE_PROVIDER",
    "DATABASE_CONNECTION_CLIENT_NAME",
    "DATABASE_SAVE_",
    "DATABASE_DELETE_",
    "CACHE_REDIS_",
    "CACHE_LOCAL_",
    "WEBHOOK_REQUEST_",
    "WEBHOOK_RETRY_",
    "WEBHOOK_EVENTS_ERRORS",
    "WEBSOCKET_",
    "RABBITMQ_",
    "NATS_",
    "KAFKA_",
    "SQS_",
    "PUSHER_",
    "S3_",
    "QRCODE_COLOR",
    "CONFIG_SESSION_PHONE_VERSION",
    "DEL_INSTANCE",
    "LANGUAGE",
    "LOG_LEVEL",
    "LOG_COLOR",
    "LOG_BAILEYS",
    "TYPEBOT_",
    "CHATWOOT_",
    "OPENAI_",
    "DIFY_",
    "N8N_",
    "EVOAI_",
    "FLOWISE_",
    "WA_BUSINESS_",
    "API_AUDIO_",
    "METRICS_ALLOWED_IPS",
    "PROVIDER_",
];

/// Longest name of a link on a phone, in characters.
const LONGEST_NAME: usize = 50;

/// Those of the environment.
#[derive(Default)]
pub(super) struct Environment(BTreeMap<String, String>);

impl Environment {
    pub(super) fn of(variables: impl Iterator<Item = (String, String)>) -> Self {
        let known = |name: &str| {
            READ.contains(&name)
                || name.starts_with("WEBHOOK_EVENTS_")
                || SURE.contains(&name)
                || IGNORED.iter().any(|begin| name.starts_with(begin))
        };
        let found: BTreeMap<_, _> =
            variables.filter(|(name, value)| known(name) && !value.trim().is_empty()).collect();
        // `SERVER_PORT` or `LANGUAGE` alone may be anybody's.
        let sure = SURE.iter().any(|name| found.contains_key(*name));
        Self(if sure { found } else { BTreeMap::new() })
    }

    fn text(&self, name: &str) -> Option<String> {
        given(self.0.get(name).cloned()).map(|text| text.trim().to_owned())
    }

    fn is_on(&self, name: &str) -> bool {
        self.text(name).is_some_and(|word| word.eq_ignore_ascii_case("true"))
    }

    /// What our own names leave open.
    pub(super) fn fill(&self, flags: Flags) -> Flags {
        Flags {
            port: flags.port.or_else(|| self.text("SERVER_PORT")?.parse().ok()),
            public_url: given(flags.public_url).or_else(|| self.text("SERVER_URL")),
            admin_key: given(flags.admin_key).or_else(|| self.text("AUTHENTICATION_API_KEY")),
            fallback_database_url: given(flags.fallback_database_url)
                .or_else(|| self.text("DATABASE_CONNECTION_URI").map(without_schema)),
            ..flags
        }
    }

    /// What only this dialect knows.
    pub(super) fn settings(&self) -> EvolutionSettings {
        let basic = self.text("METRICS_USER").zip(self.text("METRICS_PASSWORD"));
        let open = self.text("METRICS_AUTH_REQUIRED").is_some_and(|word| word == "false");
        EvolutionSettings {
            expose_tokens: self.is_on("AUTHENTICATION_EXPOSE_IN_FETCH_INSTANCES"),
            metrics: self.is_on("PROMETHEUS_METRICS").then_some(MetricsAccess { open, basic }),
            global_webhook: self.global_webhook(),
            linking: self.linking(),
            ignored: self.ignored(),
        }
    }

    fn linking(&self) -> Linking {
        let name = self.text("CONFIG_SESSION_PHONE_CLIENT");
        let name = name.map(|name| name.chars().take(LONGEST_NAME).collect());
        Linking {
            device_name: name.unwrap_or_else(|| Linking::default().device_name),
            browser: self.text("CONFIG_SESSION_PHONE_NAME").and_then(|name| Browser::parse(&name)),
            codes: self.text("QRCODE_LIMIT").and_then(|text| text.parse().ok()).filter(|n| *n > 0),
            proxy: self.proxy(),
        }
    }

    /// The way out of instances that have none of their own, by the defaults that Evolution has.
    fn proxy(&self) -> Option<Proxy> {
        let protocol = self.text("PROXY_PROTOCOL").unwrap_or_else(|| "http".to_owned());
        Some(Proxy {
            host: self.text("PROXY_HOST")?,
            port: self.text("PROXY_PORT").map_or(Some(80), |port| port.parse().ok())?,
            protocol: ProxyProtocol::parse(&protocol.to_ascii_lowercase())?,
            username: self.text("PROXY_USERNAME"),
            password: self.text("PROXY_PASSWORD"),
        })
    }

    fn global_webhook(&self) -> Option<GlobalWebhook> {
        self.text("WEBHOOK_GLOBAL_ENABLED")?;
        let url = self.text("WEBHOOK_GLOBAL_URL").filter(|_| self.is_on("WEBHOOK_GLOBAL_ENABLED"));
        let events: Vec<EventKind> = EventKind::ALL
            .into_iter()
            .filter(|kind| {
                let name = kind.as_str().replace(['.', '-'], "_").to_ascii_uppercase();
                self.is_on(&format!("WEBHOOK_EVENTS_{name}"))
            })
            .collect();
        let by_events = self.is_on("WEBHOOK_GLOBAL_WEBHOOK_BY_EVENTS");
        Some(GlobalWebhook { url, by_events, events })
    }

    fn ignored(&self) -> Vec<String> {
        let read = |name: &str| READ.contains(&name) || name.starts_with("WEBHOOK_EVENTS_");
        self.0.keys().filter(|name| !read(name)).cloned().collect()
    }
}

/// Evolution's client of the database has the schema in the URL; ours is a setting of its own.
fn without_schema(url: String) -> String {
    let Some((base, query)) = url.split_once('?') else { return url };
    let kept: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("schema=")).collect();
    if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Environment {
        let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Environment::of(owned)
    }

    #[test]
    fn a_compose_file_of_theirs_is_understood_and_our_own_names_win() {
        let environment = of(&[
            ("SERVER_PORT", "8080"),
            ("SERVER_URL", "https://wa.example.com"),
            ("AUTHENTICATION_API_KEY", "a-key"),
            (
                "DATABASE_CONNECTION_URI",
                "postgresql://u:p@db/evolution?schema=public&sslmode=disable",
            ),
            ("AUTHENTICATION_EXPOSE_IN_FETCH_INSTANCES", "true"),
            ("WEBHOOK_GLOBAL_ENABLED", "true"),
            ("WEBHOOK_GLOBAL_URL", "https://app.example.com/wa"),
            ("WEBHOOK_EVENTS_MESSAGES_UPSERT", "true"),
            ("WEBHOOK_EVENTS_QRCODE_UPDATED", "false"),
            ("RABBITMQ_ENABLED", "false"),
            ("PROXY_HOST", "10.0.0.1"),
            ("PROXY_PORT", "3128"),
            ("QRCODE_LIMIT", "12"),
            ("CONFIG_SESSION_PHONE_CLIENT", "The shop"),
            ("CONFIG_SESSION_PHONE_NAME", "Chrome"),
            ("HOME", "/root"),
        ]);
        let flags = environment.fill(Flags { port: Some(3000), ..Flags::default() });
        assert_eq!(
            (flags.port, flags.public_url.as_deref()),
            (Some(3000), Some("https://wa.example.com"))
        );
        assert_eq!(flags.admin_key.as_deref(), Some("a-key"));
        let url = flags.fallback_database_url.as_deref();
        assert_eq!(url, Some("postgresql://u:p@db/evolution?sslmode=disable"));
        let settings = environment.settings();
        assert!(settings.expose_tokens && settings.metrics.is_none());
        let hook = settings.global_webhook.expect("a webhook");
        assert_eq!(hook.url.as_deref(), Some("https://app.example.com/wa"));
        assert_eq!(hook.events, [EventKind::MessagesUpsert]);
        assert_eq!(settings.ignored, ["RABBITMQ_ENABLED"]);
        let Linking { device_name, browser, codes, proxy } = settings.linking;
        assert_eq!((device_name.as_str(), browser), ("The shop", Some(Browser::Chrome)));
        assert_eq!(codes, Some(12));
        let proxy = proxy.map(|proxy| (proxy.protocol, proxy.host, proxy.port));
        assert_eq!(proxy, Some((ProxyProtocol::Http, "10.0.0.1".to_owned(), 3128)));
    }

    #[test]
    fn names_that_may_be_anybodys_mean_nothing_alone() {
        let environment = of(&[("SERVER_PORT", "8080"), ("LANGUAGE", "en"), ("PROXY_HOST", "x")]);
        assert!(environment.fill(Flags::default()).port.is_none());
        assert!(environment.settings().ignored.is_empty());
    }
}
