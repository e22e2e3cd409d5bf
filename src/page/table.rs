//! Tables that the page's script sorts and filters.

use std::fmt::Write as _;

use super::markup::escape;

/// A table under construction.
pub struct Table {
    out: String,
    columns: usize,
    column: usize,
}

/// What a column holds; decides how it is sorted and aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Sorted as text.
    Text,
    /// Sorted as numbers, aligned right.
    Number,
    /// Not sorted.
    Fixed,
}

impl Table {
    /// A table with a caption; `id` is unique on the page, `filter` offers a search field.
    pub fn new(id: &str, caption: &str, filter: bool, columns: &[(&str, Column)]) -> Self {
        let caption = escape(caption);
        let mut out = format!(
            "<div class=\"scroll\" role=\"region\" aria-label=\"{caption}\" tabindex=\"0\">\
             <table id=\"{id}\"{}><caption>{caption}</caption><thead><tr>",
            if filter { " data-filter" } else { "" }
        );
        for (name, column) in columns {
            let sort = match column {
                Column::Text => " data-sort=\"text\"",
                Column::Number => " class=\"n\" data-sort=\"number\"",
                Column::Fixed => "",
            };
            let _ = write!(out, "<th scope=\"col\"{sort}>{}</th>", escape(name));
        }
        out.push_str("</tr></thead><tbody>");
        Self {
            out,
            columns: columns.len(),
            column: 0,
        }
    }

    /// How long the table's text is by now, in bytes.
    pub fn written(&self) -> usize {
        self.out.len()
    }

    fn cell(&mut self, attributes: &str, html: &str) {
        if self.column == 0 {
            self.out.push_str("<tr>");
        }
        let (tag, scope) = if self.column == 0 {
            ("th", " scope=\"row\"")
        } else {
            ("td", "")
        };
        let _ = write!(self.out, "<{tag}{scope}{attributes}>{html}</{tag}>");
        self.column += 1;
        if self.column == self.columns {
            self.out.push_str("</tr>");
            self.column = 0;
        }
    }

    /// A cell of text, which is escaped.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.cell("", &escape(text));
        self
    }

    /// A cell of markup that is safe already.
    pub fn markup(&mut self, html: &str) -> &mut Self {
        self.cell("", html);
        self
    }

    /// A cell with a number: as shown, and as sorted; none sorts last.
    pub fn number(&mut self, shown: &str, value: Option<i64>) -> &mut Self {
        let attributes = match value {
            Some(value) if value.to_string() == shown => " class=\"n\"".to_owned(),
            Some(value) => format!(" class=\"n\" data-v=\"{value}\""),
            None => " class=\"n\" data-v=\"\"".to_owned(),
        };
        self.cell(&attributes, &escape(shown));
        self
    }

    /// The whole table.
    pub fn finish(mut self) -> String {
        self.out.push_str("</tbody></table></div>");
        self.out
    }
}
