//! Lists as the server itself would show them: names and states, without the objects.

use serde::Deserialize;
use serde_json::Value;

use super::{Cluster, Error};

/// A server that makes no tables of something gives the objects.
const ACCEPT: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// The columns that say how something is.
const STATES: [&str; 2] = ["Ready", "Status"];

/// One object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// In what state it is, in a word or two.
    pub state: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Table {
    #[serde(default)]
    column_definitions: Vec<Column>,
    #[serde(default)]
    rows: Vec<Cells>,
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
}

#[derive(Deserialize)]
struct Cells {
    cells: Vec<Value>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

impl Cluster {
    /// All objects that a path lists.
    ///
    /// # Errors
    /// The server's.
    pub async fn rows(&self, path: &str) -> Result<Vec<Row>, Error> {
        let table: Table = self
            .get_as(&format!("{path}?includeObject=None"), ACCEPT)
            .await?;
        Ok(table.read())
    }
}

impl Table {
    fn read(self) -> Vec<Row> {
        let column = |name: &str| self.column_definitions.iter().position(|c| c.name == name);
        let of_cells = |row: &Cells| {
            let cell = |name| row.cells.get(column(name)?)?.as_str();
            let states: Vec<_> = STATES.into_iter().filter_map(cell).collect();
            Some(Row {
                name: cell("Name")?.to_owned(),
                state: states.join(" "),
            })
        };
        let of_item = |item: &Item| Row {
            name: item.metadata.name.clone(),
            state: String::new(),
        };
        let rows = self.rows.iter().filter_map(of_cells);
        rows.chain(self.items.iter().map(of_item)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_states_are_read() {
        let rows = |json: Value| serde_json::from_value::<Table>(json).unwrap().read();
        let row = |name: &str, state: &str| Row {
            name: name.into(),
            state: state.into(),
        };
        let pods = serde_json::json!({
            "kind": "Table",
            "columnDefinitions": [
                {"name": "Name"}, {"name": "Ready"}, {"name": "Status"}, {"name": "Restarts"},
            ],
            "rows": [{"cells": ["web-0", "1/1", "Running", 0]}, {"cells": []}],
        });
        assert_eq!(rows(pods), [row("web-0", "1/1 Running")]);
        let list = serde_json::json!({"kind": "List", "items": [{"metadata": {"name": "a"}}]});
        assert_eq!(rows(list), [row("a", "")]);
    }
}
