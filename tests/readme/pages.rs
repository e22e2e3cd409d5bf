//! The pages, as blocks of code and as text with links.

use std::fs;
use std::path::{Path, PathBuf};

/// This repository.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What the book lists.
pub const CONTENTS: &str = "docs/SUMMARY.md";

/// A page.
pub struct Page {
    /// Relative to the repository.
    pub path: PathBuf,
    text: String,
}

/// A block of code.
pub struct Block {
    pub language: String,
    pub text: String,
}

/// The page at that path in the repository.
pub fn page(path: impl Into<PathBuf>) -> Page {
    let path = path.into();
    let text = fs::read_to_string(Path::new(ROOT).join(&path));
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Page { path, text }
}

/// The Markdown files of a folder of the repository.
fn of(folder: &str) -> Vec<Page> {
    let mut paths: Vec<PathBuf> = fs::read_dir(Path::new(ROOT).join(folder))
        .unwrap()
        .map(|entry| Path::new(folder).join(entry.unwrap().file_name()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    paths.sort();
    paths.into_iter().map(page).collect()
}

/// What users read of the program, the README first.
pub fn of_users() -> Vec<Page> {
    let mut pages = vec![page("README.md")];
    let contents = Path::new(CONTENTS);
    pages.extend(of("docs").into_iter().filter(|page| page.path != contents));
    pages
}

/// Every page.
pub fn all() -> Vec<Page> {
    let templates = fs::read_dir(Path::new(ROOT).join("templates")).unwrap();
    let templates = templates.filter_map(|entry| {
        let entry = entry.unwrap();
        let folder = format!("templates/{}", entry.file_name().to_string_lossy());
        entry.file_type().unwrap().is_dir().then_some(folder)
    });
    let mut templates: Vec<_> = templates.collect();
    templates.sort();
    let mut pages = of("");
    pages.extend(of("docs"));
    pages.extend(templates.iter().flat_map(|folder| of(folder)));
    pages
}

impl Page {
    /// Lines with whether they are in a block of code, and of which language; its fences are left out.
    fn lines(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        let mut language = None;
        self.text.lines().filter_map(move |line| {
            if let Some(info) = line.strip_prefix("```") {
                language = language.is_none().then_some(info);
                return None;
            }
            Some((language, line))
        })
    }

    pub fn length(&self) -> usize {
        self.text.lines().count()
    }

    pub fn contains(&self, words: &str) -> bool {
        self.text.contains(words)
    }

    /// All blocks of code, in order.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut inside = false;
        for line in self.text.lines() {
            match line.strip_prefix("```") {
                Some(info) if !inside => {
                    let (language, text) = (info.to_owned(), String::new());
                    blocks.push(Block { language, text });
                }
                None if inside => {
                    let block = blocks.last_mut().unwrap();
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                _ => {}
            }
            inside ^= line.starts_with("```");
        }
        assert!(!inside, "{}: a block has no end", self.path.display());
        blocks
    }

    /// Commands of indented blocks, in order: the program's and those of Nix, without what these say.
    pub fn indented(&self) -> Vec<&str> {
        let text = self.lines().filter(|(language, _)| language.is_none());
        let lines = text.filter_map(|(_, line)| line.strip_prefix("    "));
        lines
            .map(|line| line.strip_prefix("$ ").unwrap_or(line))
            .filter(|line| line.starts_with("task-pipeline ") || line.starts_with("nix "))
            .collect()
    }

    /// The blocks of one language.
    pub fn blocks_of(&self, language: &str) -> Vec<String> {
        let blocks = self.blocks().into_iter();
        let blocks = blocks.filter(|block| block.language == language);
        blocks.map(|block| block.text).collect()
    }

    /// The rows of tables below that heading, as cells.
    pub fn rows(&self, heading: &str) -> Vec<Vec<String>> {
        let below = self.text.split_once(&format!("\n{heading}\n"));
        let (_, below) = below.unwrap_or_else(|| panic!("no {heading}"));
        let own = below.split("\n#").next().unwrap();
        let rows = own.lines().filter_map(|line| line.strip_prefix("| "));
        rows.map(|row| row.split(" |").map(|cell| cell.trim().to_owned()).collect())
            .collect()
    }

    /// What stands in it in bold.
    pub fn bold(&self) -> Vec<String> {
        let text = self.lines().filter(|(language, _)| language.is_none());
        let text: String = text.flat_map(|(_, line)| [line, " "]).collect();
        let parts = text.split("**").skip(1).step_by(2);
        parts.map(str::to_owned).collect()
    }

    /// What its links lead to.
    pub fn links(&self) -> Vec<String> {
        let text = self.lines().filter(|(language, _)| language.is_none());
        let text: String = text.flat_map(|(_, line)| [line, "\n"]).collect();
        // What stands between ` is no link.
        let prose: String = text.split('`').step_by(2).collect::<Vec<_>>().join("code");
        prose
            .split("](")
            .skip(1)
            .map(|rest| rest.split(')').next().unwrap().to_owned())
            .collect()
    }

    /// The names by which its headings are linked to, as GitHub makes them.
    pub fn anchors(&self) -> Vec<String> {
        self.lines()
            .filter(|(language, line)| language.is_none() && line.starts_with('#'))
            .map(|(_, line)| {
                let heading = line.trim_start_matches('#').trim().to_lowercase();
                let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
                heading
                    .chars()
                    .filter(kept)
                    .collect::<String>()
                    .replace(' ', "-")
            })
            .collect()
    }
}
