//! The tables.

use rusqlite::Connection;

/// Marks a file as ours: `mxRT`.
pub(super) const APPLICATION_ID: i32 = 0x6d78_5254;
/// The version of the tables.
pub(super) const VERSION: i32 = 1;

const TABLES: &str = "
CREATE TABLE client (
    realm TEXT NOT NULL,
    client_id TEXT NOT NULL,
    secret BLOB,
    document TEXT NOT NULL,
    address TEXT NOT NULL,
    created INTEGER NOT NULL,
    used INTEGER,
    PRIMARY KEY (realm, client_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX client_address ON client (realm, address, created);

CREATE TABLE login (
    realm TEXT NOT NULL,
    state BLOB NOT NULL,
    browser BLOB NOT NULL,
    content BLOB NOT NULL,
    address TEXT NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (realm, state)
) STRICT, WITHOUT ROWID;
CREATE INDEX login_address ON login (realm, address);

CREATE TABLE login_grant (
    id TEXT NOT NULL PRIMARY KEY,
    realm TEXT NOT NULL,
    client_id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    scopes TEXT NOT NULL,
    resource TEXT NOT NULL,
    may_refresh INTEGER NOT NULL,
    person BLOB NOT NULL,
    provider BLOB NOT NULL,
    created INTEGER NOT NULL,
    checked INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX login_grant_subject ON login_grant (realm, issuer, subject, created);
CREATE INDEX login_grant_client ON login_grant (realm, client_id);
CREATE INDEX login_grant_expires ON login_grant (expires);

CREATE TABLE code (
    digest BLOB NOT NULL PRIMARY KEY,
    grant_id TEXT NOT NULL REFERENCES login_grant (id) ON DELETE CASCADE,
    redirect_uri TEXT,
    challenge TEXT NOT NULL,
    expires INTEGER NOT NULL,
    used INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX code_grant ON code (grant_id);

CREATE TABLE access_token (
    digest BLOB NOT NULL PRIMARY KEY,
    grant_id TEXT NOT NULL REFERENCES login_grant (id) ON DELETE CASCADE,
    scopes TEXT NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX access_token_grant ON access_token (grant_id);
CREATE INDEX access_token_expires ON access_token (expires);

CREATE TABLE refresh_token (
    digest BLOB NOT NULL PRIMARY KEY,
    grant_id TEXT NOT NULL REFERENCES login_grant (id) ON DELETE CASCADE,
    expires INTEGER NOT NULL,
    rotated INTEGER,
    successor BLOB,
    reply BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_token_grant ON refresh_token (grant_id);
CREATE INDEX refresh_token_expires ON refresh_token (expires);
";

/// The tables in PostgreSQL. Who may not make them can have them made, by these statements, in a
/// schema `mxcp_sessions`; then `INSERT INTO version VALUES (1)`.
pub(super) const POSTGRES: &str = "
CREATE TABLE version (version INTEGER NOT NULL);

CREATE TABLE realm (
    realm TEXT NOT NULL PRIMARY KEY,
    key_id TEXT NOT NULL
);

CREATE TABLE client (
    realm TEXT NOT NULL,
    client_id TEXT NOT NULL,
    secret BYTEA,
    document TEXT NOT NULL,
    address TEXT NOT NULL,
    created BIGINT NOT NULL,
    used BIGINT,
    PRIMARY KEY (realm, client_id)
);
CREATE INDEX client_address ON client (realm, address, created);

CREATE TABLE login (
    realm TEXT NOT NULL REFERENCES realm ON DELETE CASCADE,
    state BYTEA NOT NULL,
    browser BYTEA NOT NULL,
    content BYTEA NOT NULL,
    address TEXT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (realm, state)
);
CREATE INDEX login_address ON login (realm, address);

CREATE TABLE login_grant (
    id TEXT NOT NULL PRIMARY KEY,
    realm TEXT NOT NULL REFERENCES realm ON DELETE CASCADE,
    client_id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    scopes TEXT NOT NULL,
    resource TEXT NOT NULL,
    may_refresh BIGINT NOT NULL,
    person BYTEA NOT NULL,
    provider BYTEA NOT NULL,
    created BIGINT NOT NULL,
    checked BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX login_grant_subject ON login_grant (realm, issuer, subject, created);
CREATE INDEX login_grant_client ON login_grant (realm, client_id);
CREATE INDEX login_grant_expires ON login_grant (expires);

CREATE TABLE code (
    digest BYTEA NOT NULL PRIMARY KEY,
    grant_id TEXT NOT NULL REFERENCES login_grant ON DELETE CASCADE,
    redirect_uri TEXT,
    challenge TEXT NOT NULL,
    expires BIGINT NOT NULL,
    used BIGINT
);
CREATE INDEX code_grant ON code (grant_id);

CREATE TABLE access_token (
    digest BYTEA NOT NULL PRIMARY KEY,
    grant_id TEXT NOT NULL REFERENCES login_grant ON DELETE CASCADE,
    scopes TEXT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX access_token_grant ON access_token (grant_id);
CREATE INDEX access_token_expires ON access_token (expires);

CREATE TABLE refresh_token (
    digest BYTEA NOT NULL PRIMARY KEY,
    grant_id TEXT NOT NULL REFERENCES login_grant ON DELETE CASCADE,
    expires BIGINT NOT NULL,
    rotated BIGINT,
    successor BYTEA,
    reply BYTEA
);
CREATE INDEX refresh_token_grant ON refresh_token (grant_id);
CREATE INDEX refresh_token_expires ON refresh_token (expires);

CREATE TABLE refreshing (
    grant_id TEXT NOT NULL PRIMARY KEY REFERENCES login_grant ON DELETE CASCADE,
    begun BIGINT NOT NULL
);
";

/// Grants whose provider is being asked for a fresh token. In files of earlier versions it is added.
const REFRESHING: &str = "
CREATE TABLE IF NOT EXISTS refreshing (
    grant_id TEXT NOT NULL PRIMARY KEY REFERENCES login_grant (id) ON DELETE CASCADE,
    begun INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Makes the tables in a new file.
pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    // In the first page of the file itself, where they are found without opening it: the file is
    // not in WAL mode yet.
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", VERSION)?;
    connection.execute_batch(TABLES)
}

/// How every connection behaves.
pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // What a client was told of survives even a loss of power.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_TIMEOUT_MS))?;
    connection.execute_batch(REFRESHING)
}

/// Milliseconds that a job waits for another process that writes to the same file.
const BUSY_TIMEOUT_MS: u64 = 5_000;
