//! Tables for people: as wide as what is in them, and on a terminal no wider than that.
//!
//! Cuts cells only where there is a terminal to fit; what programs read is whole. Next: [`super::streams::Screen`].

use std::io;

use super::streams::Streams;

/// The narrowest that a column is made, in characters.
const NARROWEST: usize = 8;

/// Between two columns.
const GAP: usize = 2;

/// Heads, and rows of as many cells.
#[derive(Debug, Clone)]
pub struct Table<const N: usize> {
    heads: [&'static str; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// A table without rows.
    pub fn new(heads: [&'static str; N]) -> Self {
        Self { heads, rows: Vec::new() }
    }

    /// Adds a row. An empty cell is shown as `-`.
    pub fn push(&mut self, row: [String; N]) {
        self.rows.push(row.map(|cell| if cell.is_empty() { "-".to_owned() } else { cell }));
    }

    /// Writes it, heads first.
    ///
    /// # Errors
    /// Those of writing.
    pub fn write(&self, streams: &mut Streams<'_>) -> io::Result<()> {
        let widths = self.widths(streams.screen.columns);
        self.line(&self.heads.map(str::to_owned), &widths, streams)?;
        self.rows.iter().try_for_each(|row| self.line(row, &widths, streams))
    }

    fn line(&self, cells: &[String; N], widths: &[usize; N], streams: &mut Streams<'_>) -> io::Result<()> {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            let cell = cut(cell, *width);
            line.push_str(&format!("{cell:<0$}", width + GAP));
        }
        writeln!(streams.out, "{}", line.trim_end())
    }

    /// The widest columns give first, none below what its head or [`NARROWEST`] needs.
    fn widths(&self, columns: Option<usize>) -> [usize; N] {
        let longest = |n: usize| {
            let cells = self.rows.iter().map(|row| row[n].chars().count());
            cells.chain([self.heads[n].chars().count()]).max().unwrap_or_default()
        };
        let mut widths: [usize; N] = std::array::from_fn(longest);
        let Some(columns) = columns else { return widths };
        loop {
            let total = widths.iter().sum::<usize>() + GAP * N.saturating_sub(1);
            let least = |n: usize| self.heads[n].chars().count().max(NARROWEST);
            let giving = (0..N).filter(|n| widths[*n] > least(*n)).max_by_key(|n| widths[*n]);
            match giving {
                Some(n) if total > columns => widths[n] -= 1,
                _ => return widths,
            }
        }
    }
}

/// At most `width` characters, with `…` for what is left out.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::streams::Screen;

    fn written(columns: Option<usize>) -> String {
        let mut table = Table::new(["NAME", "ZONES", "DNS"]);
        table.push(["web".into(), "us-east-1a,us-east-1b".into(), "web-1234567890.us-east-1.elb.example".into()]);
        table.push(["a-long-name".into(), String::new(), "ü".into()]);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let screen = Screen { columns, colour: false };
        table.write(&mut Streams { out: &mut out, err: &mut err, live: false, screen }).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_is_whole_for_programs_and_fits_a_terminal() {
        let whole = "\
NAME         ZONES                  DNS
web          us-east-1a,us-east-1b  web-1234567890.us-east-1.elb.example
a-long-name  -                      ü
";
        assert_eq!(written(None), whole);
        assert_eq!(written(Some(200)), whole);
        let fitted = "\
NAME         ZONES            DNS
web          us-east-1a,us-…  web-1234567890…
a-long-name  -                ü
";
        assert_eq!(written(Some(45)), fitted);
        // Where it cannot fit, it is as narrow as it gets.
        assert_eq!(written(Some(5)).lines().next().map(str::len), Some("NAME      ZONES     DNS".len()));
    }
}
