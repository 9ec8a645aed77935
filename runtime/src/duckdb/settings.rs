//! How a database is opened: hardened, loosened only by configuration.

use std::path::{Path, PathBuf};

use super::{Database, DuckError};

/// How a database is opened.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// the file; `None` is a database in memory
    pub path: Option<PathBuf>,
    /// without write access
    pub read_only: bool,
    /// as DuckDB reads it, for instance `2GB`
    pub memory_limit: Option<String>,
    /// threads of one query
    pub threads: Option<u32>,
    /// size of temporary files, as DuckDB reads it
    pub max_temp_directory_size: Option<String>,
    /// whether SQL may reach files and networks
    pub external_access: bool,
    /// folders that SQL may reach all the same
    pub allowed_directories: Vec<PathBuf>,
    /// extensions to load before everything is locked
    pub extensions: Vec<String>,
    /// whether extensions of the community's repository may be among them
    pub community_extensions: bool,
}

/// Size of temporary files unless configured.
const MAX_TEMP_DIRECTORY_SIZE: &str = "4GB";

impl Settings {
    /// Opens the database and locks its configuration.
    ///
    /// # Errors
    /// When the file cannot be opened, an extension cannot be loaded, or a setting is none.
    pub fn open(&self) -> Result<Database, DuckError> {
        let database = self.prepare()?;
        self.lock(&database)?;
        Ok(database)
    }

    /// Opens the database, whose configuration is still to be locked.
    ///
    /// # Errors
    /// When the file cannot be opened, or an extension cannot be loaded.
    pub fn prepare(&self) -> Result<Database, DuckError> {
        let path = self.path.as_deref().map(path_text).transpose()?;
        let mut options: Vec<(&str, String)> = vec![
            ("autoinstall_known_extensions", "false".to_owned()),
            ("autoload_known_extensions", "false".to_owned()),
            ("allow_community_extensions", self.community_extensions.to_string()),
            // Secrets that somebody keeps on this machine are no business of the project.
            ("allow_persistent_secrets", "false".to_owned()),
            ("threads", self.threads.unwrap_or(1).to_string()),
        ];
        if self.read_only && path.is_some() {
            options.push(("access_mode", "READ_ONLY".to_owned()));
        }
        if let Some(limit) = &self.memory_limit {
            options.push(("memory_limit", limit.clone()));
        }
        let database = Database::open(path.as_deref(), &options)?;
        let connection = database.connect()?;
        for extension in &self.extensions {
            connection.run(&format!("LOAD {}", quoted_name(extension))).map_err(|error| {
                // What follows the first line names extensions that nobody asked for.
                let why = error.message.lines().next().unwrap_or_default();
                let message = format!("the extension `{extension}` cannot be loaded: {why}");
                DuckError::new(error.class, message)
            })?;
        }
        Ok(database)
    }

    /// Takes from SQL what the configuration does not give it, for good.
    ///
    /// # Errors
    /// When a setting is none.
    pub fn lock(&self, database: &Database) -> Result<(), DuckError> {
        let connection = database.connect()?;
        connection.run("SET GLOBAL TimeZone = 'UTC'").or_else(|error| {
            // Without ICU there are no time zones and everything is UTC already.
            if error.class == "catalog" { Ok(()) } else { Err(error) }
        })?;
        let temporary = self.max_temp_directory_size.as_deref().unwrap_or(MAX_TEMP_DIRECTORY_SIZE);
        if self.path.is_some() {
            connection.run(&format!("SET max_temp_directory_size = {}", quoted(temporary)))?;
        }
        if !self.external_access {
            if !self.allowed_directories.is_empty() {
                let folders: Result<Vec<String>, DuckError> =
                    self.allowed_directories.iter().map(|f| Ok(quoted(&path_text(f)?))).collect();
                connection.run(&format!("SET allowed_directories = [{}]", folders?.join(", ")))?;
            }
            connection.run("SET enable_external_access = false")?;
        }
        connection.run("SET lock_configuration = true")
    }
}

fn path_text(path: &Path) -> Result<String, DuckError> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| DuckError::new("path", format!("`{}` is not UTF-8", path.display())))
}

/// A text literal.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name.
pub fn quoted_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_is_reached_and_nothing_is_unlocked() {
        let database = Settings::default().open().unwrap();
        let connection = database.connect().unwrap();
        for sql in [
            "SELECT * FROM read_csv('/etc/passwd')",
            "SELECT * FROM read_text('/etc/hostname')",
            "COPY (SELECT 1) TO '/tmp/mxcp-should-not-exist.csv'",
            "ATTACH '/tmp/mxcp-should-not-exist.db'",
            "INSTALL httpfs",
            "LOAD '/tmp/x.duckdb_extension'",
        ] {
            assert_eq!(connection.run(sql).unwrap_err().class, "permission", "{sql}");
        }
        for sql in [
            "SET enable_external_access = true",
            "SET threads = 4",
            "SET lock_configuration = false",
        ] {
            assert!(connection.run(sql).is_err(), "{sql}");
        }
    }

    #[test]
    fn allowed_folders_are_reached() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.csv"), "x\n1\n").unwrap();
        let settings =
            Settings { allowed_directories: vec![folder.path().to_owned()], ..Settings::default() };
        let connection = settings.open().unwrap().connect().unwrap();
        let inside = folder.path().join("a.csv");
        connection
            .run(&format!("SELECT * FROM read_csv({})", quoted(inside.to_str().unwrap())))
            .unwrap();
        assert!(connection.run("SELECT * FROM read_csv('/etc/passwd')").is_err());
    }
}
