//! Tables that the page's script sorts and filters.

use maud::{Markup, PreEscaped, Render, html};

/// A table under construction.
pub(super) struct Table<'a> {
    id: &'a str,
    caption: &'a str,
    filter: bool,
    columns: &'a [(&'a str, Column)],
    rows: String,
    /// The cells of the row that is not complete yet.
    row: String,
    column: usize,
    /// Where links to the row that is not complete yet lead.
    target: Option<String>,
}

/// What a column holds; decides how it is sorted and aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// Sorted as text.
    Text,
    /// Sorted as numbers, aligned right.
    Number,
    /// Not sorted.
    Fixed,
}

impl<'a> Table<'a> {
    /// A table with a caption; `id` is unique on the page, `filter` offers a search field.
    pub(super) fn new(
        id: &'a str,
        caption: &'a str,
        filter: bool,
        columns: &'a [(&'a str, Column)],
    ) -> Self {
        Self {
            id,
            caption,
            filter,
            columns,
            rows: String::new(),
            row: String::new(),
            column: 0,
            target: None,
        }
    }

    /// Links to `target` lead to the row that begins.
    pub(super) fn target(&mut self, target: String) -> &mut Self {
        self.target = Some(target);
        self
    }

    /// How long the text of the table's rows is by now, in bytes.
    pub(super) fn written(&self) -> usize {
        self.rows.len() + self.row.len()
    }

    fn cell(&mut self, class: Option<&str>, value: Option<String>, content: impl Render) {
        let cell = if self.column == 0 {
            html! { th scope="row" class=[class] data-v=[value] { (content) } }
        } else {
            html! { td class=[class] data-v=[value] { (content) } }
        };
        cell.render_to(&mut self.row);
        self.column += 1;
        if self.column == self.columns.len() {
            html! { tr id=[self.target.take()] { (PreEscaped(&self.row)) } }
                .render_to(&mut self.rows);
            self.row.clear();
            self.column = 0;
        }
    }

    /// A cell of text or markup.
    pub(super) fn text(&mut self, content: impl Render) -> &mut Self {
        self.cell(None, None, content);
        self
    }

    /// A cell with a number: as shown, and as sorted; none sorts last.
    pub(super) fn number(&mut self, shown: &str, value: Option<i64>) -> &mut Self {
        let value = value.map_or_else(String::new, |value| value.to_string());
        let sorted = (value != shown).then_some(value);
        self.cell(Some("n"), sorted, shown);
        self
    }

    /// The whole table. What stands above it as a heading need not be seen again as its caption.
    pub(super) fn finish(&self) -> Markup {
        html! {
            div.scroll role="region" aria-label=(self.caption) tabindex="0" {
                table id=(self.id) data-filter[self.filter] {
                    caption.unseen[self.is_section()] { (self.caption) }
                    thead { tr { @for (name, column) in self.columns { (title(name, *column)) } } }
                    tbody { (PreEscaped(&self.rows)) }
                }
            }
        }
    }
}

impl Table<'_> {
    /// Whether it is all that a part of the page has.
    fn is_section(&self) -> bool {
        matches!(self.id, "steps" | "tasks")
    }
}

fn title(name: &str, column: Column) -> Markup {
    let (class, sort) = match column {
        Column::Text => (None, Some("text")),
        Column::Number => (Some("n"), Some("number")),
        Column::Fixed => (None, None),
    };
    html! { th scope="col" class=[class] data-sort=[sort] { (name) } }
}
