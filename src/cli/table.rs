//! Tables: no borders, two spaces between columns, numbers aligned at the decimal point.
//!
//! On a terminal the least important columns go first, then the last text column is shortened with `…`. Elsewhere
//! nothing is shortened: one space-padded line a row.

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr;

use crate::cli::format::escape;

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    /// Text.
    Left,
    /// Numbers: at the decimal point where there is one.
    Number,
}

/// A column: its head, its alignment, and its rank, 0 being the last to go.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// In capitals, or the name of a metric.
    pub head: Cow<'static, str>,
    /// How its cells are set.
    pub align: Align,
    /// 0 stays to the end; higher ones go first where the width is not enough.
    pub rank: u8,
}

impl Column {
    /// A column of text.
    pub(super) const fn text(head: &'static str, rank: u8) -> Self {
        Column { head: Cow::Borrowed(head), align: Align::Left, rank }
    }

    /// A column of numbers.
    pub(super) const fn number(head: &'static str, rank: u8) -> Self {
        Column { head: Cow::Borrowed(head), align: Align::Number, rank }
    }

    /// The column of a metric's values.
    pub(super) fn metric(name: &str) -> Self {
        Column { head: Cow::Owned(escape(name)), align: Align::Number, rank: 0 }
    }
}

/// Rows of cells under columns; cells are escaped when they are set.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(super) fn new(columns: impl Into<Vec<Column>>) -> Self {
        Table { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row: one cell a column.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().map(|cell| escape(&cell)).collect();
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    /// The table as text, each line ended; `width`: what a terminal has, or `None` to leave everything whole.
    pub(super) fn render(&self, width: Option<usize>) -> String {
        let cells = self.aligned();
        let mut widths: Vec<usize> = (0..self.columns.len())
            .map(|k| {
                let body = cells.iter().map(|row| row[k].width()).max().unwrap_or(0);
                body.max(self.columns[k].head.width())
            })
            .collect();
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        if let Some(width) = width {
            self.fit(&mut shown, &mut widths, width);
        }
        let mut out = String::new();
        let heads: Vec<String> = self.columns.iter().map(|column| column.head.to_string()).collect();
        for row in std::iter::once(&heads).chain(&cells) {
            let line: Vec<String> =
                shown.iter().map(|k| pad(&row[*k], widths[*k], self.columns[*k].align)).collect();
            out.push(' ');
            out.push_str(line.join("  ").trim_end());
            out.push('\n');
        }
        out
    }

    /// Cells with numbers padded on the right so that their decimal points stand below each other.
    fn aligned(&self) -> Vec<Vec<String>> {
        let mut cells = self.rows.clone();
        for (k, column) in self.columns.iter().enumerate() {
            if column.align != Align::Number {
                continue;
            }
            let fraction = |cell: &str| match cell.find('.') {
                Some(dot) if cell[..dot].trim_start_matches('-').bytes().all(|b| b.is_ascii_digit()) => {
                    cell.len() - dot
                }
                _ => 0,
            };
            let widest = cells.iter().map(|row| fraction(&row[k])).max().unwrap_or(0);
            for row in &mut cells {
                let missing = widest - fraction(&row[k]);
                row[k].push_str(&" ".repeat(missing));
            }
        }
        cells
    }

    /// Drops columns by rank, then shortens the widest text column.
    fn fit(&self, shown: &mut Vec<usize>, widths: &mut [usize], width: usize) {
        let total = |shown: &[usize], widths: &[usize]| {
            1 + shown.iter().map(|k| widths[*k]).sum::<usize>() + 2 * shown.len().saturating_sub(1)
        };
        while total(shown, widths) > width {
            let Some(at) = (0..shown.len())
                .filter(|k| self.columns[shown[*k]].rank > 0)
                .max_by_key(|k| self.columns[shown[*k]].rank)
            else {
                break;
            };
            shown.remove(at);
        }
        let over = total(shown, widths).saturating_sub(width);
        let widest = shown
            .iter()
            .copied()
            .filter(|k| self.columns[*k].align == Align::Left)
            .max_by_key(|k| widths[*k]);
        if let (1.., Some(k)) = (over, widest) {
            widths[k] = widths[k].saturating_sub(over).max(4);
        }
    }
}

/// `text` in `width` columns, shortened with `…` where it is longer.
fn pad(text: &str, width: usize, align: Align) -> String {
    let text = shorten(text, width);
    let space = " ".repeat(width - text.width());
    match align {
        Align::Left => format!("{text}{space}"),
        Align::Number => format!("{space}{text}"),
    }
}

/// `text` cut to `width` columns, `…` its last where something was cut. Colours take no room and are kept.
pub(super) fn shorten(text: &str, width: usize) -> String {
    use unicode_width::UnicodeWidthChar;
    if styled_width(text) <= width {
        return text.to_owned();
    }
    let mut used = 0;
    let mut is_cut = false;
    let mut out = String::new();
    for (piece, is_style) in pieces(text) {
        if is_style {
            out.push_str(piece);
            continue;
        }
        for c in piece.chars() {
            let wide = c.width().unwrap_or(0);
            if is_cut || used + wide + 1 > width {
                if !is_cut && width > 0 {
                    out.push('…');
                }
                is_cut = true;
                break;
            }
            used += wide;
            out.push(c);
        }
    }
    out
}

/// Columns that `text` takes, colours aside.
fn styled_width(text: &str) -> usize {
    pieces(text).filter(|(_, is_style)| !is_style).map(|(piece, _)| piece.width()).sum()
}

/// `text` in pieces: what is seen, and the sequences that colour it.
fn pieces(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = match rest.find('\u{1b}') {
            _ if rest.is_empty() => return None,
            Some(0) => rest.find('m').map_or(rest.len(), |at| at + 1),
            Some(at) => at,
            None => rest.len(),
        };
        let (piece, more) = rest.split_at(end);
        rest = more;
        Some((piece, piece.starts_with('\u{1b}')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new([
            Column::text("ID", 0),
            Column::number("VALUE", 0),
            Column::text("OWNER", 2),
            Column::text("PARAMETERS", 0),
        ]);
        table.row(["a".into(), "0.5".into(), "ana".into(), "lr=0.1 batch=64".into()]);
        table.row(["b".into(), "12.25".into(), "li".into(), "lr=0.25\u{1b}".into()]);
        table
    }

    #[test]
    fn a_pipe_gets_everything() {
        assert_eq!(
            table().render(None),
            " ID  VALUE  OWNER  PARAMETERS\n a    0.5   ana    lr=0.1 batch=64\n b   12.25  li     lr=0.25\\u{1b}\n"
        );
    }

    #[test]
    fn a_narrow_terminal_loses_columns_then_letters() {
        assert_eq!(
            table().render(Some(22)),
            " ID  VALUE  PARAMETERS\n a    0.5   lr=0.1 ba…\n b   12.25  lr=0.25\\u…\n"
        );
    }
}
