//! The settings of who gets in, and how: proxies, cookies, TLS, rates, other sites, tokens of others.

use super::{ConfigError, FileSettings, given, parse_public_url};
use clap::Args;
use flowcore_domain::network::Network;
use flowcore_domain::quota::{Quota, QuotaPatch};
use flowcore_gateway::{ForeignTokens, Rate, WeakKey};
use std::num::NonZeroU32;
use std::path::PathBuf;

/// What the command line and the environment say.
#[derive(Args, Clone, Default)]
pub struct AccessFlags {
    /// Addresses and networks of proxies whose X-Forwarded headers count, comma separated
    #[arg(long, env = "FLOWCORE_TRUSTED_PROXIES", global = true)]
    pub trusted_proxies: Option<String>,
    /// Sign browsers in over plain HTTP from everywhere, not only on this machine
    #[arg(long, env = "FLOWCORE_INSECURE_COOKIES", global = true)]
    pub insecure_cookies: Option<bool>,
    /// Requests a minute of one key; off for no limit [default: 6000]
    #[arg(long, env = "FLOWCORE_RATE_LIMIT", global = true)]
    pub rate_limit: Option<String>,
    /// Sites whose pages may call this server, comma separated
    #[arg(long, env = "FLOWCORE_CORS_ORIGINS", global = true)]
    pub cors_origins: Option<String>,
    /// The certificate chain, when TLS ends here (PEM)
    #[arg(long, env = "FLOWCORE_TLS_CERT", global = true)]
    pub tls_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, env = "FLOWCORE_TLS_KEY", global = true)]
    pub tls_key: Option<PathBuf>,
    /// The Supabase project whose users may come with their tokens
    #[arg(long, env = "FLOWCORE_SUPABASE_URL", global = true)]
    pub supabase_url: Option<String>,
    /// That project's JWT secret, when it signs with one
    #[arg(long, env = "FLOWCORE_SUPABASE_JWT_SECRET", global = true, hide_env_values = true)]
    pub supabase_jwt_secret: Option<String>,
    /// Whom its tokens must be meant for [default: authenticated]
    #[arg(long, env = "FLOWCORE_SUPABASE_AUDIENCE", global = true)]
    pub supabase_audience: Option<String>,
    /// What its users may have, as instances=3,messagesPerDay=1000 [default: no limits]
    #[arg(long, env = "FLOWCORE_SUPABASE_QUOTAS", global = true)]
    pub supabase_quotas: Option<String>,
}

/// Never shows the secret.
impl std::fmt::Debug for AccessFlags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessFlags").finish_non_exhaustive()
    }
}

/// Who gets in, and how.
#[derive(Debug, Clone, Default)]
pub struct AccessConfig {
    /// Proxies whose X-Forwarded headers count.
    pub trusted_proxies: Vec<Network>,
    /// Browsers may sign in over plain HTTP from everywhere.
    pub insecure_cookies: bool,
    /// Requests of one key; `None` for no limit.
    pub rate: Option<Rate>,
    /// Sites whose pages may call this server.
    pub cors_origins: Vec<String>,
    /// Where certificate and key are, when TLS ends here.
    pub tls: Option<TlsFiles>,
    /// Whose tokens are taken beside ours.
    pub foreign: Option<ForeignTokens>,
    /// What users have who come with such a token for the first time.
    pub foreign_quotas: QuotaPatch,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The chain, the server's own first.
    pub cert: PathBuf,
    /// The key.
    pub key: PathBuf,
}

pub(super) fn merge(
    flags: AccessFlags,
    file: &mut FileSettings,
) -> Result<AccessConfig, ConfigError> {
    let list = |flag: Option<String>, file: &Option<Vec<String>>| {
        given(flag.or(file.as_ref().map(|list| list.join(",")))).unwrap_or_default()
    };
    let proxies = list(flags.trusted_proxies, &file.trusted_proxies);
    let trusted_proxies = Network::parse_list(&proxies)
        .map_err(|error| wrong(format!("FLOWCORE_TRUSTED_PROXIES: {error}")))?;
    let path = |flag: Option<PathBuf>, file: Option<PathBuf>| {
        flag.or(file).filter(|path| !path.as_os_str().is_empty())
    };
    let cert = path(flags.tls_cert, file.tls_cert.take());
    let tls = match (cert, path(flags.tls_key, file.tls_key.take())) {
        (Some(cert), Some(key)) => Some(TlsFiles { cert, key }),
        (None, None) => None,
        _ => return Err(wrong("FLOWCORE_TLS_CERT and FLOWCORE_TLS_KEY go together")),
    };
    Ok(AccessConfig {
        trusted_proxies,
        insecure_cookies: flags.insecure_cookies.or(file.insecure_cookies).unwrap_or(false),
        rate: parse_rate(given(flags.rate_limit.or(file.rate_limit.take())))?,
        cors_origins: parse_origins(&list(flags.cors_origins, &file.cors_origins))?,
        tls,
        foreign: parse_foreign(
            given(flags.supabase_url.or(file.supabase_url.take())),
            given(flags.supabase_jwt_secret.or(file.supabase_jwt_secret.take())),
            given(flags.supabase_audience.or(file.supabase_audience.take())),
        )?,
        foreign_quotas: parse_quotas(
            &given(flags.supabase_quotas.or(file.supabase_quotas.take())).unwrap_or_default(),
        )?,
    })
}

fn wrong(what: impl Into<String>) -> ConfigError {
    ConfigError::Access(what.into())
}

fn parse_rate(text: Option<String>) -> Result<Option<Rate>, ConfigError> {
    let Some(text) = text else { return Ok(Some(Rate::default())) };
    if text.trim().eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    let number = text.trim().parse::<NonZeroU32>();
    let per_minute = number
        .map_err(|_| wrong("FLOWCORE_RATE_LIMIT is a number of requests a minute, or off"))?;
    Ok(Some(Rate { per_minute }))
}

fn parse_origins(text: &str) -> Result<Vec<String>, ConfigError> {
    let origins = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
    let origins = origins.map(|origin| {
        if origin == "*" {
            return Ok(origin.to_owned());
        }
        let parsed = parse_public_url(Some(origin.to_owned())).ok().flatten();
        let rule = "FLOWCORE_CORS_ORIGINS is * or sites as https://app.example.com";
        parsed.map(|origin| origin.to_ascii_lowercase()).ok_or_else(|| wrong(rule))
    });
    origins.collect()
}

fn parse_foreign(
    url: Option<String>,
    secret: Option<String>,
    audience: Option<String>,
) -> Result<Option<ForeignTokens>, ConfigError> {
    if let Some(secret) = &secret {
        WeakKey::check(secret).map_err(ConfigError::WeakSecret)?;
    }
    let url = match url {
        Some(url) => parse_public_url(Some(url))
            .map_err(|_| wrong("FLOWCORE_SUPABASE_URL is as https://PROJECT.supabase.co"))?,
        None => None,
    };
    if url.is_none() && secret.is_none() {
        return Ok(None);
    }
    let issuer = url.map(|url| format!("{url}/auth/v1"));
    Ok(Some(ForeignTokens {
        jwks_url: issuer.as_ref().map(|issuer| format!("{issuer}/.well-known/jwks.json")),
        issuer,
        secret,
        audience: audience.unwrap_or_else(|| "authenticated".to_owned()),
    }))
}

fn parse_quotas(text: &str) -> Result<QuotaPatch, ConfigError> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let entries = entries.map(|entry| {
        let rule = || wrong("FLOWCORE_SUPABASE_QUOTAS is as instances=3,messagesPerDay=1000");
        let (name, limit) = entry.split_once('=').ok_or_else(rule)?;
        let quota = Quota::ALL.into_iter().find(|quota| quota.as_str() == name.trim());
        let limit = limit.trim().parse::<u64>().map_err(|_| rule())?;
        Ok((quota.ok_or_else(rule)?, Some(limit)))
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(flags: AccessFlags) -> Result<AccessConfig, String> {
        merge(flags, &mut FileSettings::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_secret_that_everybody_knows_is_refused_and_not_shown() {
        let known = "super-secret-jwt-token-with-at-least-32-characters-long";
        for weak in [known, "short", &"x".repeat(40)] {
            let secret = Some(weak.to_owned());
            let flags = AccessFlags { supabase_jwt_secret: secret, ..AccessFlags::default() };
            let error = access(flags).expect_err("refused");
            assert!(error.starts_with("refused: ") && !error.contains(weak), "{error}");
        }
    }

    #[test]
    fn a_project_is_known_by_its_address() {
        let url = Some("https://abc.supabase.co/".to_owned());
        let access = access(AccessFlags { supabase_url: url, ..AccessFlags::default() });
        let foreign = access.expect("settings").foreign.expect("a project");
        assert_eq!(foreign.issuer.as_deref(), Some("https://abc.supabase.co/auth/v1"));
        let keys = "https://abc.supabase.co/auth/v1/.well-known/jwks.json";
        assert_eq!(
            (foreign.jwks_url.as_deref(), &*foreign.audience),
            (Some(keys), "authenticated")
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let text = |text: &str| Some(text.to_owned());
        let none = AccessFlags::default;
        for flags in [
            AccessFlags { trusted_proxies: text("proxy.lan"), ..none() },
            AccessFlags { rate_limit: text("many"), ..none() },
            AccessFlags { rate_limit: text("0"), ..none() },
            AccessFlags { cors_origins: text("app.example.com"), ..none() },
            AccessFlags { supabase_quotas: text("instance=3"), ..none() },
            AccessFlags { supabase_url: text("abc"), ..none() },
            AccessFlags { tls_cert: Some("cert.pem".into()), ..none() },
        ] {
            access(flags).expect_err("refused");
        }
        let flags = AccessFlags { rate_limit: text("OFF"), ..none() };
        assert!(access(flags).expect("settings").rate.is_none());
        assert_eq!(access(none()).expect("settings").rate, Some(Rate::default()));
    }
}
