//! The table of docs/benchmarks.md: a row a case, between two marks.

use std::path::Path;

use crate::Fallible;
use crate::spread::Spread;

const BEGIN: &str = "<!-- figures: begin -->";
const END: &str = "<!-- figures: end -->";

/// One line of the table.
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) unit: &'static str,
    pub(crate) floor: Option<Spread>,
    pub(crate) measured: Spread,
    /// Measured over floor; where there is no floor, the figure itself is wanted.
    pub(crate) ratio: Option<Spread>,
    pub(crate) wanted: String,
    pub(crate) reached: bool,
}

/// The rows as Markdown.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "| case | unit | floor | jeton | ratio | wanted | reached |\n|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let floor = row.floor.map_or_else(|| "-".to_owned(), figures);
        let ratio = row.ratio.map_or_else(|| "-".to_owned(), figures);
        let reached = if row.reached { "yes" } else { "**no**" };
        let Row { case, unit, wanted, .. } = row;
        let measured = figures(row.measured);
        text += &format!("| {case} | {unit} | {floor} | {measured} | {ratio} | {wanted} | {reached} |\n");
    }
    text
}

/// Replaces what stands between the marks.
pub(crate) fn write_into(document: &Path, table: &str) -> Fallible<()> {
    let text = std::fs::read_to_string(document)?;
    std::fs::write(document, replaced(&text, table).ok_or("the document has no marks")?)?;
    Ok(())
}

fn replaced(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))
}

fn figures(spread: Spread) -> String {
    let places = if spread.median >= 100.0 { 0 } else { 2 };
    let Spread { median, min, max } = spread;
    format!("{median:.places$} ({min:.places$} to {max:.places$})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_takes_the_place_of_the_one_before() {
        let text = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        let once = replaced(&text, "new").unwrap();
        assert_eq!(once, format!("a\n{BEGIN}\n\nnew\n{END}\nb\n"));
        assert_eq!(replaced(&once, "new").unwrap(), once);
        assert_eq!(replaced("no marks", "new"), None);
    }
}
