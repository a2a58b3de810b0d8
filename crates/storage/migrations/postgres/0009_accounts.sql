-- Users who sign in. `password_hash` is argon2id in PHC form; `totp` is sealed, and no code of `totp_step` or
-- before is taken again; `foreign_subject` is who somebody else's tokens say that they are.
ALTER TABLE profiles ADD COLUMN username TEXT COLLATE "C";
ALTER TABLE profiles ADD COLUMN email TEXT;
ALTER TABLE profiles ADD COLUMN password_hash TEXT;
ALTER TABLE profiles ADD COLUMN disabled BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE profiles ADD COLUMN quotas TEXT NOT NULL DEFAULT '{}';
ALTER TABLE profiles ADD COLUMN totp BYTEA;
ALTER TABLE profiles ADD COLUMN totp_step BIGINT NOT NULL DEFAULT 0;
ALTER TABLE profiles ADD COLUMN foreign_subject TEXT COLLATE "C";
UPDATE profiles SET username = 'admin' WHERE role = 'admin';
CREATE UNIQUE INDEX profiles_username ON profiles (lower(username));
CREATE UNIQUE INDEX profiles_foreign ON profiles (foreign_subject);

-- The instances that a key knows (null: all of its user's) and the networks that it may come from (none: any).
ALTER TABLE api_keys ADD COLUMN instances TEXT;
ALTER TABLE api_keys ADD COLUMN addresses TEXT NOT NULL DEFAULT '[]';
ALTER TABLE api_keys ADD COLUMN last_used_at BIGINT;

-- Browsers have a cookie; programs have a refresh token of which only the newest is good.
DELETE FROM login_sessions;
ALTER TABLE login_sessions ADD COLUMN id TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE login_sessions ADD COLUMN refresh_hash BYTEA;
ALTER TABLE login_sessions ADD COLUMN address TEXT;
ALTER TABLE login_sessions ADD COLUMN agent TEXT;
ALTER TABLE login_sessions ADD COLUMN last_used_at BIGINT NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX login_sessions_id ON login_sessions (id);


-- By which credential, from where, and who it was for the time when the user is gone.
ALTER TABLE audit_log ADD COLUMN credential TEXT NOT NULL DEFAULT '';
ALTER TABLE audit_log ADD COLUMN address TEXT;
ALTER TABLE audit_log ADD COLUMN username TEXT COLLATE "C";
CREATE INDEX audit_log_of_user ON audit_log (user_id, id);
