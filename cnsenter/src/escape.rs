//! Showing text that came from a container, a daemon or an API.
//!
//! A name may hold terminal escape sequences (CVE-2021-25743) or characters that reorder what is
//! read; they are shown, never sent to the terminal.

use std::ffi::OsStr;
use std::fmt::{self, Display, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Displays bytes with everything escaped that is not plain printable text.
#[derive(Clone, Copy)]
pub struct Escaped<'a>(&'a [u8]);

/// Wraps any text-like value for display.
pub fn escaped<T: AsRef<[u8]> + ?Sized>(text: &T) -> Escaped<'_> {
    Escaped(text.as_ref())
}

/// Wraps a path for display.
#[must_use]
pub fn escaped_path(path: &Path) -> Escaped<'_> {
    Escaped(path.as_os_str().as_bytes())
}

/// The most of a text of any length that is shown in a message, in bytes.
const SHOWN: usize = 300;

/// As [`escaped`], the beginning of it if it is long.
pub fn escaped_start<T: AsRef<[u8]> + ?Sized>(text: &T) -> String {
    let bytes = text.as_ref();
    match bytes.get(..SHOWN) {
        Some(start) if bytes.len() > SHOWN => format!("{}...", Escaped(start)),
        _ => Escaped(bytes).to_string(),
    }
}

/// Wraps an [`OsStr`] for display.
#[must_use]
pub fn escaped_os(text: &OsStr) -> Escaped<'_> {
    Escaped(text.as_bytes())
}

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '\n' => f.write_str("\\n")?,
                    '\t' => f.write_str("\\t")?,
                    '\r' => f.write_str("\\r")?,
                    c if c.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(c))?,
                    c if c.is_control() || is_format(c) => {
                        write!(f, "\\u{{{:x}}}", u32::from(c))?;
                    }
                    c => f.write_char(c)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Characters of Unicode category Cf and the line and paragraph separators: invisible, and able to
/// reorder the text around them (CVE-2021-42574).
fn is_format(c: char) -> bool {
    matches!(u32::from(c),
        0xad | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x180e | 0x200b..=0x200f
        | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0xe007f)
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn shows_escape_sequences_and_keeps_text() {
        assert_eq!(escaped("web-\u{1b}[31mred").to_string(), "web-\\x1b[31mred");
        assert_eq!(escaped("größe 容器").to_string(), "größe 容器");
        assert_eq!(escaped("a\u{202e}b").to_string(), "a\\u{202e}b");
        assert_eq!(escaped(b"a\xffb").to_string(), "a\\xffb");
        assert_eq!(escaped("a\nb\u{9b}").to_string(), "a\\nb\\u{9b}");
    }
}
