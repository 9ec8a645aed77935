//! The escapes of string and bytes literals (CEL specification, "String and Bytes Values").

/// Reads what stands between the quotes, as bytes; the text of a string literal is always UTF-8.
/// On error the offset of the escape and what is wrong.
pub(super) fn unescape(
    body: &str,
    raw: bool,
    bytes: bool,
) -> Result<Vec<u8>, (usize, &'static str)> {
    let mut octets = Vec::with_capacity(body.len());
    let put = |octets: &mut Vec<u8>, c: char| {
        octets.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    };
    let mut characters = body.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        if c == '\r' {
            // A line break in a literal is one line feed, however the file writes it.
            if characters.peek().is_none_or(|(_, next)| *next != '\n') {
                octets.push(b'\n');
            }
            continue;
        }
        if c != '\\' || raw {
            put(&mut octets, c);
            continue;
        }
        let (_, kind) = characters.next().ok_or((at, "the escape has no end"))?;
        let (radix, length) = match kind {
            'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' | '?' | '"' | '\'' | '`' => {
                put(&mut octets, simple(kind));
                continue;
            }
            'x' | 'X' => (16, 2),
            'u' if !bytes => (16, 4),
            'U' if !bytes => (16, 8),
            '0'..='3' => (8, 2),
            _ => return Err((at, "there is no such escape")),
        };
        let mut value = if radix == 8 { kind.to_digit(8).unwrap_or(0) } else { 0 };
        for _ in 0..length {
            let digit = characters.next().and_then(|(_, c)| c.to_digit(radix));
            let digit = digit.ok_or((at, "the escape needs more digits"))?;
            value = value.wrapping_mul(radix).wrapping_add(digit);
        }
        if bytes {
            octets.push(u8::try_from(value).map_err(|_| (at, "the escape is no byte"))?);
        } else {
            put(&mut octets, char::from_u32(value).ok_or((at, "the escape is no character"))?);
        }
    }
    Ok(octets)
}

const fn simple(kind: char) -> char {
    match kind {
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        other => other,
    }
}
