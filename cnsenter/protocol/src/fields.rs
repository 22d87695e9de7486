//! The payload of control frames: fields of a tag (one byte), a length (four, big-endian) and a
//! value. A reader skips tags that it does not know, and takes the first of those it does.

/// Why fields could not be read.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// A length points beyond the payload.
    #[error("it is cut short")]
    Truncated,
    /// A field that has to be there is not.
    #[error("its field {0} is missing")]
    Missing(u8),
    /// A value has no meaning.
    #[error("its field {0} has a value that has no meaning")]
    BadValue(u8),
}

/// Appends a field.
pub(crate) fn put(out: &mut Vec<u8>, tag: u8, value: &[u8]) {
    out.push(tag);
    // No frame is as long as that.
    let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
    out.extend(length.to_be_bytes());
    out.extend(value);
}

/// The fields of a payload, in order.
pub(crate) fn fields(mut payload: &[u8]) -> impl Iterator<Item = Result<(u8, &[u8]), Error>> {
    std::iter::from_fn(move || {
        let (tag, rest) = payload.split_first()?;
        let field = rest.split_first_chunk::<4>().and_then(|(length, rest)| {
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            rest.split_at_checked(length)
        });
        Some(match field {
            Some((value, rest)) => {
                payload = rest;
                Ok((*tag, value))
            }
            None => {
                payload = &[];
                Err(Error::Truncated)
            }
        })
    })
}

/// The fields of a small payload, for looking up.
pub(crate) struct Fields<'a>(Vec<(u8, &'a [u8])>);

impl<'a> Fields<'a> {
    pub(crate) fn read(payload: &'a [u8]) -> Result<Self, Error> {
        fields(payload).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn get(&self, tag: u8) -> Option<&'a [u8]> {
        self.0.iter().find(|(t, _)| *t == tag).map(|(_, v)| *v)
    }

    pub(crate) fn need<const N: usize>(&self, tag: u8) -> Result<[u8; N], Error> {
        let value = self.get(tag).ok_or(Error::Missing(tag))?;
        value.try_into().map_err(|_| Error::BadValue(tag))
    }

    /// Text of which nothing is decided: what is not UTF-8 in it is replaced.
    pub(crate) fn text(&self, tag: u8) -> String {
        String::from_utf8_lossy(self.get(tag).unwrap_or_default()).into_owned()
    }
}
