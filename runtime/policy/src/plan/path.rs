//! Field paths: `address.street`, `orders[].card.number`, `*.ssn`, `**.ssn`.

use std::fmt;

/// Longest path in segments.
pub const MAX_PATH_SEGMENTS: usize = 32;

/// A parsed entry of `fields`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPath {
    segments: Vec<Segment>,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Segment {
    /// a field, by its name in ASCII lower case
    Field(String),
    /// `*`: any field, one level
    Any,
    /// `**`: any number of fields and items, also none
    Deep,
    /// `[]`: the items of an array
    Items,
}

/// Why a path is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing between two dots, or nothing at all.
    #[error("a field path has no empty parts")]
    Empty,
    /// A `**` that nothing follows would remove everything.
    #[error("`**` needs a field after it, as in `**.ssn`")]
    OpenEnd,
    /// `*` or `[` inside a name.
    #[error("`{0}` is neither a field name, `*`, `**` nor a name with `[]` after it")]
    Malformed(String),
    /// More than [`MAX_PATH_SEGMENTS`] steps.
    #[error("a field path has at most {MAX_PATH_SEGMENTS} steps")]
    TooLong,
}

impl FieldPath {
    /// Reads a path.
    ///
    /// # Errors
    /// When the text is not a path.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let mut segments = Vec::new();
        for part in text.split('.') {
            let mut name = part;
            let mut items = 0;
            while let Some(shorter) = name.strip_suffix("[]") {
                name = shorter;
                items += 1;
            }
            match name {
                "" if items > 0 && segments.is_empty() => {}
                "" => return Err(PathError::Empty),
                "*" => segments.push(Segment::Any),
                "**" => segments.push(Segment::Deep),
                _ if name.contains(['*', '[', ']']) => {
                    return Err(PathError::Malformed(part.to_owned()));
                }
                _ => segments.push(Segment::Field(name.to_ascii_lowercase())),
            }
            segments.extend(std::iter::repeat_n(Segment::Items, items));
        }
        if segments.last() == Some(&Segment::Deep) {
            return Err(PathError::OpenEnd);
        }
        if segments.len() > MAX_PATH_SEGMENTS {
            return Err(PathError::TooLong);
        }
        Ok(Self { segments })
    }

    /// The steps.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, segment) in self.segments.iter().enumerate() {
            if i > 0 && *segment != Segment::Items {
                f.write_str(".")?;
            }
            match segment {
                Segment::Field(name) => f.write_str(name)?,
                Segment::Any => f.write_str("*")?,
                Segment::Deep => f.write_str("**")?,
                Segment::Items => f.write_str("[]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_print_as_they_are_read() {
        for text in ["a", "a.b", "orders[].card.number", "*.ssn", "**.ssn", "a[][].b", "[].x"] {
            assert_eq!(FieldPath::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        assert_eq!(FieldPath::parse(""), Err(PathError::Empty));
        assert_eq!(FieldPath::parse("a..b"), Err(PathError::Empty));
        assert_eq!(FieldPath::parse("a.**"), Err(PathError::OpenEnd));
        assert_eq!(FieldPath::parse("a[0].b"), Err(PathError::Malformed("a[0]".into())));
        assert_eq!(FieldPath::parse("s*n"), Err(PathError::Malformed("s*n".into())));
    }
}
