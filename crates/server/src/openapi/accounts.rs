//! Users, sign-ins, keys, quotas and the audit log.

use super::{Operation, op, shape};

pub(super) const SCHEMAS: &[(&str, &str)] = &[
    ("Role", "\"admin\" | \"member\" | \"viewer\""),
    ("Scope", "\"read\" | \"send\" | \"manage\" | \"settings\" | \"delete\" | \"admin\""),
    ("Quotas", "{*: integer | null}"),
    ("Usage", "{*: {used: integer, limit: integer | null, renewsAt: time | null}}"),
    (
        "User",
        "{id: id, username: string, email: string | null, role: Role, disabled: boolean, \
          foreign: boolean, totp: boolean, quotas: any, createdAt: time}",
    ),
    (
        "Tokens",
        "{accessToken: string, tokenType: \"Bearer\", expiresIn: integer, refreshToken: string}",
    ),
    (
        "SignIn",
        "{id: id, kind: \"api\" | \"browser\", current: boolean, address: string | null, \
          agent: string | null, createdAt: time, lastUsedAt: time, expiresAt: time}",
    ),
    (
        "Key",
        "{id: id, name: string, userId: id, prefix: string | null, scopes: Scope[], instances: any, \
          allowedAddresses: string[], createdAt: time, expiresAt: time | null, \
          lastUsedAt: time | null, key?: string}",
    ),
    (
        "AuditEntry",
        "{id: id, at: time, userId: id | null, username: string | null, credential: string, \
          address: string | null, action: string, target: string | null, data: any}",
    ),
];

const SIGN_IN: &str = "Sign-in";
const KEYS: &str = "Keys";
const USERS: &str = "Users";
const PAGE: &str = "{limit?: integer(1..200), cursor?: string}";

pub(super) fn operations() -> Vec<Operation> {
    let mut all = sign_ins();
    all.extend(keys());
    all.extend(users());
    all
}

fn sign_ins() -> Vec<Operation> {
    vec![
        op(
            SIGN_IN,
            "POST /api/auth/login",
            "Signs in: a token for 15 minutes, and one to renew it",
        )
        .body("{username: string, password: string, totp?: string}")
        .answers(200, "Tokens")
        .refuses(&[401, 403, 429, 500, 503]),
        op(
            SIGN_IN,
            "POST /api/auth/refresh",
            "Renews both tokens; each refresh token is good once",
        )
        .body("{refreshToken: string}")
        .answers(200, "Tokens")
        .refuses(&[401, 429, 500, 503]),
        op(SIGN_IN, "POST /api/auth/logout", "Ends the sign-in of this token").answers_nothing(204),
        op(SIGN_IN, "GET /api/auth/sessions", "The caller's sign-ins")
            .answers(200, "{data: SignIn[], nextCursor: null}"),
        op(SIGN_IN, "DELETE /api/auth/sessions/{id}", "Ends a sign-in").answers_nothing(204),
        op(
            SIGN_IN,
            "POST /api/auth/totp",
            "A secret for an authenticator app; nothing is changed yet",
        )
        .answers(200, "{secret: string, uri: string}")
        .refuses(&[409]),
        op(SIGN_IN, "PUT /api/auth/totp", "Turns the second factor on, with a code of it")
            .body("{secret: string, code: string}")
            .answers_nothing(204)
            .refuses(&[409]),
        op(SIGN_IN, "DELETE /api/auth/totp", "Turns the second factor off, with a code of it")
            .body("{code: string}")
            .answers_nothing(204)
            .refuses(&[409]),
        op(SIGN_IN, "GET /api/me", "Who the caller is, and what is left of their quotas")
            .answers(200, "{id: id, username: string, role: Role, scopes: Scope[], quotas: Usage}"),
        op(SIGN_IN, "POST /api/me/password", "Changes the password and ends all sign-ins")
            .body("{currentPassword: string, newPassword: string(8..256)}")
            .answers_nothing(204),
    ]
}

fn keys() -> Vec<Operation> {
    vec![
        op(KEYS, "GET /api/keys", "The keys that the caller may see")
            .query(PAGE)
            .answers(200, "{data: Key[], nextCursor: id | null}"),
        op(KEYS, "POST /api/keys", "Makes a key, shown only here")
            .body(
                "{name: string(1..100), userId?: id, scopes?: Scope[], instances?: string[], \
                  expiresAt?: time, allowedAddresses?: string[]}",
            )
            .answers(201, "Key")
            .refuses(&[404]),
        op(KEYS, "DELETE /api/keys/{id}", "Takes a key away").answers_nothing(204),
    ]
}

fn users() -> Vec<Operation> {
    vec![
        op(USERS, "GET /api/users", "The users")
            .query(PAGE)
            .answers(200, "{data: User[], nextCursor: id | null}"),
        op(USERS, "POST /api/users", "Makes a user")
            .body(
                "{username: string(1..64), email?: string, password: string(8..256), role: Role, \
                  quotas?: Quotas}",
            )
            .answers(201, "User")
            .refuses(&[409]),
        op(USERS, "GET /api/users/{id}", "One user, and what they use").answers(200, "User"),
        op(USERS, "PATCH /api/users/{id}", "Changes what is named, at once")
            .body(
                "{email?: string | null, password?: string, role?: Role, disabled?: boolean, \
                  totp?: boolean, quotas?: Quotas}",
            )
            .answers(200, "User")
            .refuses(&[409]),
        op(USERS, "DELETE /api/users/{id}", "Deletes a user and everything of theirs")
            .answers_nothing(204)
            .refuses(&[409, 502, 504]),
        op(USERS, "GET /api/audit", "Who changed what, newest first")
            .query(
                "{userId?: id, action?: string, target?: string, from?: time, to?: time, \
                  format?: \"json\" | \"ndjson\", limit?: integer(1..500), cursor?: string}",
            )
            .answers(200, "{data: AuditEntry[], nextCursor: id | null}")
            .answers_with(200, "application/x-ndjson", shape("string")),
    ]
}
