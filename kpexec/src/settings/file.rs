//! `config.toml`: names and values, and in which line each is.

use std::fs;
use std::io;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::{Error, Key, Origin, Value, at};

/// What a file says. One that is not there says nothing, unless it `must` be.
pub(super) fn read(path: &Path, must: bool) -> Result<Vec<Value>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => parse(path, &text),
        Err(error) if !must && is_absent(&error) => Ok(Vec::new()),
        Err(source) => Err(Error::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn parse(path: &Path, text: &str) -> Result<Vec<Value>, Error> {
    let line = |offset: usize| 1 + text.bytes().take(offset).filter(|b| *b == b'\n').count();
    let table = DeTable::parse(text).map_err(|error| {
        let line = line(error.span().map_or(0, |span| span.start));
        Error::Syntax {
            place: at(path, line),
            message: error.message().to_owned(),
        }
    })?;
    let mut values = Vec::new();
    for (name, value) in table.get_ref() {
        let line = line(name.span().start);
        let name = name.get_ref();
        let key = Key::named(name).ok_or_else(|| Error::Unknown {
            place: at(path, line),
            name: name.to_string(),
            nearest: Key::nearest(name).map(|key| key.name),
        })?;
        let words = words(value.get_ref()).map_err(|found| Error::Form {
            place: at(path, line),
            name: key.name,
            found,
            example: format!("{} = \"VALUE\"", key.name),
        })?;
        values.push(Value {
            key,
            words,
            origin: Origin::File(path.to_owned(), line),
        });
    }
    Ok(values)
}

/// A value as the flag would have it; else what it is.
fn words(value: &DeValue<'_>) -> Result<Vec<String>, &'static str> {
    let word = |value: &DeValue<'_>| match value {
        DeValue::String(text) if text.is_empty() => Err("empty"),
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => Ok(number.to_string()),
        DeValue::Boolean(is) => Ok(is.to_string()),
        DeValue::Float(_) => Err("a fraction"),
        DeValue::Datetime(_) => Err("a date"),
        DeValue::Array(_) => Err("a list"),
        DeValue::Table(_) => Err("a table"),
    };
    match value {
        DeValue::Array(all) if all.is_empty() => Err("empty"),
        DeValue::Array(all) => all.iter().map(|value| word(value.get_ref())).collect(),
        value => Ok(vec![word(value)?]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Said = (&'static str, Vec<String>, usize);

    fn said(text: &str) -> Result<Vec<Said>, String> {
        let values = parse(Path::new("c.toml"), text).map_err(|error| error.to_string())?;
        let said = values.into_iter().map(|value| match value.origin {
            Origin::File(_, line) => (value.key.name, value.words, line),
            other => panic!("{other:?}"),
        });
        Ok(said.collect())
    }

    #[test]
    fn each_value_has_its_line() {
        let text = "# ours\nimage = \"r/np\"\n\n\"lease\" = 90\n";
        let expected = [
            ("image", vec!["r/np".to_owned()], 2),
            ("lease", vec!["90".to_owned()], 4),
        ];
        assert_eq!(said(text).unwrap(), expected);
        assert_eq!(said("").unwrap(), []);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, told) in [
            (
                "\nimge = 1",
                "c.toml:2: there is no setting \"imge\"; did you mean image?",
            ),
            (
                "[image]\nx = 1",
                "c.toml:1: image is a table; write image = \"VALUE\"",
            ),
            (
                "image = 1.5",
                "c.toml:1: image is a fraction; write image = \"VALUE\"",
            ),
            (
                "image = ''",
                "c.toml:1: image is empty; write image = \"VALUE\"",
            ),
            ("x = 1", "c.toml:1: there is no setting \"x\""),
        ] {
            assert_eq!(said(text).unwrap_err(), told);
        }
        for text in ["\nimage = ", "\nimage = \"a", "\nimage = 'a'\nimage = 'b'"] {
            let told = said(text).unwrap_err();
            assert!(
                told.starts_with("c.toml:2: ") || told.starts_with("c.toml:3: "),
                "{told}"
            );
        }
    }

    #[test]
    fn a_file_that_is_not_there_says_nothing() {
        let missing = Path::new("/dev/null/config.toml");
        assert_eq!(read(missing, false).unwrap(), []);
        let told = read(missing, true).unwrap_err().to_string();
        assert_eq!(
            told,
            "cannot read the configuration file /dev/null/config.toml"
        );
    }
}
