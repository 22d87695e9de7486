//! `kpexec config show`: what holds, and who has said so.

use std::io;

use serde::Serialize;

use super::{Key, Origin, PREFIX, Settings, ShowArgs, Value, at};
use crate::listing::{self, Table};
use crate::stderr::{printable, say};

#[derive(Serialize)]
struct Shown {
    /// The configuration file, whether it is there or not.
    file: Option<String>,
    settings: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: &'static str,
    /// Several values of one flag are several lines of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    origin: String,
}

/// Prints every setting.
///
/// # Errors
/// When the output is closed or full.
pub fn show(settings: &Settings, args: ShowArgs) -> io::Result<()> {
    let rows = args.flags.0.into_iter().map(|value| {
        let origin = match (&value.origin, settings.value(value.key)) {
            (Origin::Default, Some(said)) => said.origin.clone(),
            _ => value.origin.clone(),
        };
        Row::new(&value, &origin)
    });
    let shown = Shown {
        file: settings
            .file
            .as_ref()
            .map(|path| path.display().to_string()),
        settings: rows.collect(),
    };
    for variable in &settings.strange {
        say(strange(variable));
    }
    listing::print(args.output, &shown, || shown.text())
}

/// What somebody has to know who believes that this variable sets something.
fn strange(variable: &str) -> String {
    let name = variable.trim_start_matches(PREFIX).to_lowercase();
    let nearest = Key::nearest(&name.replace('_', "-"));
    let nearest = nearest.map_or_else(String::new, |key| {
        format!("; did you mean {}?", key.variable())
    });
    format!(
        "kpexec: the environment's {} sets nothing{nearest}",
        printable(variable)
    )
}

impl Row {
    fn new(value: &Value, origin: &Origin) -> Self {
        let key = value.key;
        let words = match value.words.is_empty() {
            true => key.otherwise.to_owned(),
            false => value.words.join(", "),
        };
        Self {
            name: key.name,
            value: (!words.is_empty()).then_some(words),
            origin: match origin {
                Origin::File(path, line) => at(path, *line),
                Origin::Environment => key.variable(),
                Origin::Flag => format!("--{}", key.name),
                Origin::Default => "default".to_owned(),
            },
        }
    }
}

impl Shown {
    fn text(&self) -> String {
        let mut table = Table::new(["SETTING", "VALUE", "ORIGIN"]);
        for Row {
            name,
            value,
            origin,
        } in &self.settings
        {
            let value = value.as_deref().unwrap_or("-");
            table.row([name, value, origin]);
        }
        let file = self
            .file
            .as_deref()
            .unwrap_or("none: there is no home directory");
        format!("{table}\nconfiguration file: {file}\n")
    }
}
