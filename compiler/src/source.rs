//! Where the texts of a project come from.

/// The files of a project as the compiler sees them. Paths are relative to the project root, with
/// `/` between folders and without `.` or `..`.
pub trait Files: Sync {
    /// All files below a folder, at any depth, sorted.
    ///
    /// # Errors
    /// When the folder exists and cannot be read; a folder that does not exist is empty.
    fn list(&self, folder: &str) -> Result<Vec<String>, FileError>;

    /// The bytes of a file.
    ///
    /// # Errors
    /// When there is no such file, it cannot be read or it is larger than `limit_bytes`.
    fn read(&self, path: &str, limit_bytes: usize) -> Result<Vec<u8>, FileError>;
}

/// Why a file could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// There is none.
    #[error("there is no such file")]
    NotFound,
    /// It is too large.
    #[error("the file is larger than {limit_bytes} bytes")]
    TooLarge {
        /// the limit
        limit_bytes: usize,
    },
    /// Reading failed.
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
    /// It lies outside the project, or a link leads there.
    #[error("the file is outside the project")]
    Outside,
}

/// Files in memory, for tests and editors.
#[derive(Debug, Clone, Default)]
pub struct MemoryFiles(pub std::collections::BTreeMap<String, Vec<u8>>);

impl MemoryFiles {
    /// Files from pairs of path and text.
    pub fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(files.into_iter().map(|(p, t)| (p.to_owned(), t.as_bytes().to_vec())).collect())
    }
}

impl Files for MemoryFiles {
    fn list(&self, folder: &str) -> Result<Vec<String>, FileError> {
        let prefix = format!("{}/", folder.trim_end_matches('/'));
        Ok(self.0.keys().filter(|path| path.starts_with(&prefix)).cloned().collect())
    }

    fn read(&self, path: &str, limit_bytes: usize) -> Result<Vec<u8>, FileError> {
        let bytes = self.0.get(path).ok_or(FileError::NotFound)?;
        if bytes.len() > limit_bytes {
            return Err(FileError::TooLarge { limit_bytes });
        }
        Ok(bytes.clone())
    }
}

/// Joins a path that a document names to the folder of that document, resolving `.` and `..`.
/// `None` when it is absolute or leaves the project.
pub fn join(document: &str, named: &str) -> Option<String> {
    if named.starts_with(['/', '\\']) || named.contains(':') || named.contains('\0') {
        return None;
    }
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in named.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn paths_stay_inside_the_project() {
        assert_eq!(join("tools/a.yml", "../sql/x.sql").as_deref(), Some("sql/x.sql"));
        assert_eq!(join("tools/a.yml", "x.sql").as_deref(), Some("tools/x.sql"));
        assert_eq!(join("tools/a.yml", "../../x.sql"), None);
        assert_eq!(join("tools/a.yml", "/etc/passwd"), None);
        assert_eq!(join("tools/a.yml", "C:x"), None);
    }
}
