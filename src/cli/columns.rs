//! Text in columns, as wide as the terminal.

use unicode_width::UnicodeWidthStr as _;

use crate::out::Stream;
use crate::text::colour::{bare, marked};
use crate::text::width::cut;

/// The columns of the terminal that standard output is; none if it is none.
pub(super) fn width() -> Option<usize> {
    let (columns, _) = Stream::Out.size()?;
    (columns > 0).then(|| columns.into())
}

/// One column of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    /// What stands above it.
    pub title: &'static str,
    /// Numbers end where the column does.
    pub right: bool,
    /// Whether it gives way where the terminal is narrow.
    pub gives: bool,
}

/// A column of words.
pub(super) const fn words(title: &'static str) -> Column {
    Column {
        title,
        right: false,
        gives: false,
    }
}

/// A column of numbers.
pub(super) const fn number(title: &'static str) -> Column {
    Column {
        title,
        right: true,
        gives: false,
    }
}

/// A column that gives way.
pub(super) const fn free(title: &'static str) -> Column {
    Column {
        title,
        right: false,
        gives: true,
    }
}

/// Columns narrower than this no longer tell anything.
const NARROW: usize = 6;

/// The rows as a table with titles, in `most` columns if it is given. Cells may be [marked].
pub(super) fn table(columns: &[Column], rows: &[Vec<String>], most: Option<usize>) -> String {
    let mut widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let cells = rows.iter().map(|row| bare(&row[at]).1.width());
            cells.chain([column.title.width()]).max().unwrap_or(0)
        })
        .collect();
    if let Some(most) = most {
        fit(&mut widths, columns, most);
    }
    let titles = columns.iter().map(|column| column.title.to_owned());
    let titles: Vec<String> = titles.collect();
    let mut text = String::new();
    for row in std::iter::once(&titles).chain(rows) {
        let mut line = String::new();
        for ((cell, column), width) in row.iter().zip(columns).zip(&widths) {
            let (mark, cell) = bare(cell);
            let cell = cut(cell, *width);
            let wide = cell.width();
            let cell = match mark {
                Some(mark) => marked(mark, &cell),
                None => cell,
            };
            if column.right {
                line.push_str(&" ".repeat(width.saturating_sub(wide)));
                line.push_str(&cell);
            } else {
                line.push_str(&cell);
                line.push_str(&" ".repeat(width.saturating_sub(wide)));
            }
            line.push_str("  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Takes from the columns that give way, the widest first, until the table fits.
fn fit(widths: &mut [usize], columns: &[Column], most: usize) {
    let gaps = 2 * columns.len().saturating_sub(1);
    loop {
        let total = widths.iter().sum::<usize>() + gaps;
        let widest = (0..widths.len())
            .filter(|at| columns[*at].gives && widths[*at] > NARROW)
            .max_by_key(|at| widths[*at]);
        match widest {
            Some(at) if total > most => widths[at] -= 1,
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_fits_where_it_can() {
        let columns = [free("step"), number("done"), free("why")];
        let rows = [
            vec!["größe".to_owned(), "7".to_owned(), "x".to_owned()],
            vec![
                "日本語の名前".to_owned(),
                "12".to_owned(),
                "a long reason".to_owned(),
            ],
        ];
        assert_eq!(
            table(&columns, &rows, None),
            "step          done  why\n\
             größe            7  x\n\
             日本語の名前    12  a long reason\n"
        );
        let narrow = table(&columns, &rows, Some(24));
        assert!(narrow.lines().all(|line| line.width() <= 24), "{narrow}");
        // Nothing is left to give.
        assert!(table(&columns, &rows, Some(3)).contains("12"));
    }
}
