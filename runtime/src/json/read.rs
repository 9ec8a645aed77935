//! The reader itself: recursive descent over bytes, bounded in depth, values and number length.

use std::borrow::Cow;

use super::{DEPTH_MAX, Fault, Json, JsonError, Member, NUMBER_MAX_BYTES, Names, VALUES_MAX};

/// Reads one JSON document (RFC 8259) and nothing after it.
///
/// # Errors
/// See [`Fault`].
pub fn parse(bytes: &[u8]) -> Result<Json<'_>, JsonError> {
    parse_within(bytes, DEPTH_MAX)
}

/// The same with a lower limit of nesting.
///
/// # Errors
/// See [`Fault`].
pub fn parse_within(bytes: &[u8], max_depth: usize) -> Result<Json<'_>, JsonError> {
    let text = str::from_utf8(bytes)
        .map_err(|error| JsonError { fault: Fault::Utf8, offset: error.valid_up_to() })?;
    let max_depth = max_depth.min(DEPTH_MAX);
    let mut reader = Reader { text, at: 0, values: 0, max_depth };
    let value = reader.value(0)?;
    reader.spaces();
    if reader.at < text.len() {
        return Err(reader.fault(Fault::Trailing));
    }
    Ok(value)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    values: usize,
    max_depth: usize,
}

impl<'a> Reader<'a> {
    fn fault(&self, fault: Fault) -> JsonError {
        JsonError { fault, offset: self.at }
    }

    /// What does not fit here: the end of the text, or a character.
    fn misplaced(&self) -> JsonError {
        self.fault(if self.at < self.text.len() { Fault::Unexpected } else { Fault::End })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        self.spaces();
        if self.peek() != Some(byte) {
            return Err(self.misplaced());
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Result<Json<'a>, JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if rest.starts_with(word) {
            self.at += word.len();
            Ok(value)
        } else {
            Err(self.misplaced())
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        self.spaces();
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(self.fault(Fault::Values));
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Json::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            _ => Err(self.misplaced()),
        }
    }

    /// Enters a container and says whether it is empty.
    fn enter(&mut self, depth: usize, close: u8) -> Result<bool, JsonError> {
        if depth >= self.max_depth {
            return Err(self.fault(Fault::Depth));
        }
        self.at += 1;
        self.spaces();
        let empty = self.peek() == Some(close);
        if empty {
            self.at += 1;
        }
        Ok(empty)
    }

    /// After an element: true for a comma, false for the end of the container.
    fn more(&mut self, close: u8) -> Result<bool, JsonError> {
        self.spaces();
        let more = match self.peek() {
            Some(b',') => true,
            Some(byte) if byte == close => false,
            _ => return Err(self.misplaced()),
        };
        self.at += 1;
        Ok(more)
    }

    fn array(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        let mut items = Vec::new();
        if self.enter(depth, b']')? {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if !self.more(b']')? {
                return Ok(Json::Array(items));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        let mut members: Vec<Member<'a>> = Vec::new();
        let mut names = Names::default();
        if self.enter(depth, b'}')? {
            return Ok(Json::Object(members));
        }
        loop {
            self.spaces();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.misplaced());
            }
            let name = self.string()?;
            if names.repeats(&members, &name) {
                return Err(JsonError { fault: Fault::Duplicate, offset: start });
            }
            self.expect(b':')?;
            let value = self.value(depth + 1)?;
            members.push((name, value));
            if !self.more(b'}')? {
                return Ok(Json::Object(members));
            }
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.at += 1;
        let start = self.at;
        let mut owned: Option<String> = None;
        let mut copied = start;
        loop {
            match self.peek() {
                None => return Err(self.fault(Fault::End)),
                Some(b'"') => break,
                Some(0..=0x1f) => return Err(self.fault(Fault::Control)),
                Some(b'\\') => {
                    let before = self.text.get(copied..self.at).unwrap_or_default();
                    let decoded = self.escape()?;
                    let text = owned.get_or_insert_default();
                    text.push_str(before);
                    text.push(decoded);
                    copied = self.at;
                }
                Some(_) => self.at += 1,
            }
        }
        let rest = self.text.get(copied..self.at).unwrap_or_default();
        self.at += 1;
        Ok(match owned {
            None => Cow::Borrowed(rest),
            Some(mut text) => {
                text.push_str(rest);
                Cow::Owned(text)
            }
        })
    }

    /// Reads an escape from its backslash on.
    fn escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        self.at += 1;
        let plain = match self.peek() {
            None => return Err(self.fault(Fault::End)),
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(start),
            Some(_) => return Err(JsonError { fault: Fault::Escape, offset: start }),
        };
        self.at += 1;
        Ok(plain)
    }

    /// Reads `uXXXX`, and its other half where it is the first of a surrogate pair.
    fn unicode(&mut self, start: usize) -> Result<char, JsonError> {
        let lone = JsonError { fault: Fault::Surrogate, offset: start };
        let first = self.hex()?;
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first).ok_or(lone);
        }
        let rest = self.text.get(self.at..).unwrap_or_default();
        if first >= 0xdc00 || !rest.starts_with("\\u") {
            return Err(lone);
        }
        self.at += 1;
        let second = self.hex()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(lone);
        }
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(lone)
    }

    /// Reads `u` and four hexadecimal digits.
    fn hex(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.get(self.at + 1..self.at + 5);
        let Some(digits) = digits.filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit())) else {
            return Err(self.fault(Fault::Escape));
        };
        self.at += 5;
        u32::from_str_radix(digits, 16).map_err(|_| self.fault(Fault::Escape))
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.fault(Fault::Number));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Json<'a>, JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        let finite =
            text.len() <= NUMBER_MAX_BYTES && text.parse::<f64>().is_ok_and(f64::is_finite);
        if !finite {
            return Err(JsonError { fault: Fault::Huge, offset: start });
        }
        Ok(Json::Number(text))
    }
}
