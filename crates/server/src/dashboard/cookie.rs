//! The cookie of a session.

use axum::http::{HeaderMap, HeaderValue, header};

/// The browser forgets it after two weeks; the session itself may end earlier.
const MAX_AGE_SECONDS: u32 = 14 * 24 * 3600;

/// How the cookie is named and set for this server's address. Behind TLS the browser itself locks it
/// to the host (`__Host-`); plain HTTP, as on loopback, can't have that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cookies {
    secure: bool,
}

impl Cookies {
    pub(crate) fn for_url(public_url: &str) -> Self {
        Self { secure: public_url.starts_with("https://") }
    }

    /// Whether browsers send it over TLS only.
    pub(crate) fn are_secure(self) -> bool {
        self.secure
    }

    fn name(self) -> &'static str {
        if self.secure { "__Host-flowcore" } else { "flowcore" }
    }

    /// The session's token, when the browser has one. Of two cookies of the name none is trusted: the
    /// second may have been planted by a neighbouring host.
    pub(crate) fn session_of(self, headers: &HeaderMap) -> Option<String> {
        let mut found = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .filter(|(name, _)| *name == self.name());
        let (_, token) = found.next()?;
        found.next().is_none().then(|| token.to_owned())
    }

    /// The header that sets it.
    pub(crate) fn set(self, token: &str) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.text(token, MAX_AGE_SECONDS)).ok()
    }

    /// The header that removes it.
    pub(crate) fn clear(self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.text("", 0)).ok()
    }

    fn text(self, token: &str, max_age: u32) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        let name = self.name();
        format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age}{secure}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(cookie: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, cookie.parse().expect("a header"));
        headers
    }

    #[test]
    fn behind_tls_the_cookie_is_locked_to_its_host() {
        let cookies = Cookies::for_url("https://flowcore.example.com");
        let set = cookies.set("t").expect("a header");
        let expected =
            "__Host-flowcore=t; Path=/; HttpOnly; SameSite=Strict; Max-Age=1209600; Secure";
        assert_eq!(set, expected);
        assert_eq!(cookies.session_of(&with("flowcore=planted")), None);
    }

    #[test]
    fn two_cookies_of_the_name_are_none() {
        let cookies = Cookies::for_url("http://127.0.0.1:3000");
        assert_eq!(cookies.session_of(&with("a=b; flowcore=x; c=d")).as_deref(), Some("x"));
        assert_eq!(cookies.session_of(&with("flowcore=x; flowcore=y")), None);
    }
}
