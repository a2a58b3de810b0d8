//! The table from what is wrong with accounts, quotas and sign-ins to problems.

use super::Problem;
use axum::http::StatusCode;
use flowcore_domain::clock::Millis;
use flowcore_domain::quota::{OverQuota, Quota};
use flowcore_gateway::AccountError;
use serde_json::Map;

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        let rule = error.to_string();
        match error {
            AccountError::UserNotFound => missing("user_not_found", "No such user"),
            AccountError::KeyNotFound => missing("key_not_found", "No such key"),
            AccountError::SessionNotFound => missing("session_not_found", "No such session"),
            AccountError::UsernameTaken => Self::new(
                StatusCode::CONFLICT,
                "username_taken",
                "The name is taken",
                "Another user has this name. Choose another one.",
            ),
            AccountError::LastAdmin => Self::new(
                StatusCode::CONFLICT,
                "last_admin",
                "The last administrator",
                "Nobody could administer this server any more. Make another administrator first.",
            ),
            AccountError::InvalidUsername(_) => {
                Self::field("invalid_username", "Not a name for a user", "username", rule)
            }
            AccountError::WeakPassword(_) => {
                Self::field("weak_password", "The password is too weak", "password", rule)
            }
            AccountError::InvalidAddress(_) => {
                Self::field("invalid_address", "Not an address", "allowedAddresses", rule)
            }
            AccountError::ExpiryInThePast => {
                Self::field("invalid_expiry", "The key would have ended", "expiresAt", rule)
            }
            AccountError::InvalidKeyName => {
                Self::field("invalid_key_name", "Not a name for a key", "name", rule)
            }
            other => refused(&other),
        }
    }
}

/// Who they are, or what they may.
fn refused(error: &AccountError) -> Problem {
    match error {
        AccountError::WiderKey => Problem::new(
            StatusCode::FORBIDDEN,
            "wider_key",
            "The key is not wide enough",
            "A key can make or take away only keys that are good for no more than itself.",
        ),
        AccountError::InvalidCredentials => Problem::new(
            StatusCode::UNAUTHORIZED,
            "invalid_credentials",
            "Sign-in failed",
            "The name, the password or the code is wrong. Check them and try again.",
        ),
        AccountError::TotpRequired => Problem::new(
            StatusCode::UNAUTHORIZED,
            "totp_required",
            "A code is needed",
            "This user has a second factor. Send the code of the app as \"totp\".",
        ),
        AccountError::TotpState => Problem::new(
            StatusCode::CONFLICT,
            "totp_refused",
            "The second factor was not changed",
            "The code is not one of now, or the second factor is on already or off already.",
        ),
        AccountError::Throttled { wait } => {
            Problem::rate_limited(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).max(1))
        }
        AccountError::RefreshRefused => Problem::new(
            StatusCode::UNAUTHORIZED,
            "invalid_refresh_token",
            "The refresh token is not good",
            "It is unknown, has ended, or was used before. Sign in again.",
        ),
        AccountError::AddressNotAllowed => Problem::new(
            StatusCode::FORBIDDEN,
            "address_not_allowed",
            "Not from here",
            "This key may be used from certain addresses only, and this is none of them.",
        ),
        other => {
            tracing::error!(error = %other, "a request failed");
            Problem::internal()
        }
    }
}

fn missing(code: &'static str, title: &'static str) -> Problem {
    let detail = "There is none of this id. GET the list for those there are.";
    Problem::new(StatusCode::NOT_FOUND, code, title, detail)
}

/// 403 with the limit, the use, and when counting begins anew.
pub(super) fn over_quota(over: OverQuota) -> Problem {
    let code = match over.quota {
        Quota::Instances => "instance_limit_reached",
        Quota::MessagesPerDay => "message_limit_reached",
        Quota::AiRepliesPerMonth => "ai_reply_limit_reached",
        Quota::PromptsPerMonth => "prompt_limit_reached",
        Quota::Documents => "document_limit_reached",
        Quota::DocumentBytes => "document_bytes_limit_reached",
        Quota::Webhooks => "webhook_limit_reached",
    };
    let (limit, used) = (over.limit, over.used);
    let what = over.quota.as_str();
    let renews = over.renews.map(Millis::rfc3339);
    let then = match &renews {
        Some(at) => format!("It begins anew at {at}."),
        None => "Delete something, or ask the administrator for more.".to_owned(),
    };
    let detail = format!("Your limit of {what} is {limit}, and {used} are used. {then}");
    let mut problem = Problem::new(StatusCode::FORBIDDEN, code, "Limit reached", detail);
    let more = [("limit", limit.into()), ("used", used.into()), ("renewsAt", renews.into())];
    let more = more.map(|(name, value)| (name.to_owned(), value));
    problem.more = Some(Box::new(Map::from_iter(more)));
    problem
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowcore_domain::account::UsernameError;
    use flowcore_domain::network::NetworkError;
    use flowcore_gateway::WeakPassword;
    use std::time::Duration;

    #[test]
    fn every_error_of_accounts_has_its_problem() {
        let all = [
            AccountError::UserNotFound,
            AccountError::KeyNotFound,
            AccountError::SessionNotFound,
            AccountError::UsernameTaken,
            AccountError::LastAdmin,
            AccountError::InvalidUsername(UsernameError),
            AccountError::WeakPassword(WeakPassword::Known),
            AccountError::WiderKey,
            AccountError::InvalidAddress(NetworkError("10.0".to_owned())),
            AccountError::ExpiryInThePast,
            AccountError::InvalidKeyName,
            AccountError::InvalidCredentials,
            AccountError::TotpRequired,
            AccountError::TotpState,
            AccountError::Throttled { wait: Duration::from_secs(4) },
            AccountError::RefreshRefused,
            AccountError::AddressNotAllowed,
        ];
        let table = all.map(|error| {
            let problem = Problem::from(error);
            let body = problem.body(None, None);
            serde_json::from_slice::<serde_json::Value>(&body).expect("JSON")
        });
        insta::assert_json_snapshot!("problems_of_accounts", table);
    }
}
