//! `report`: a runset as a page for the browser.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;

use super::error::Failure;
use super::graph::{Selection, manifest, selected};
use super::options::{Output, Places};
use super::select::{self, nothing_ran};
use super::{output, own, signals};
use crate::out;
use crate::overview;
use crate::staged::{self, Staged};
use crate::state::{self, Lock, Reader};
use crate::sys;
use crate::text::Shown as _;
use crate::view::page;

/// Seconds after which a browser loads a page again that is written while a run is at work.
const AGAIN: u32 = 3;
/// Between two pages at least; and how many times as long as a page takes to make.
const PAUSE: Duration = Duration::from_secs(2);
const SHARE: u32 = 10;
/// Between two looks whether the run is still at work.
const LOOK: Duration = Duration::from_millis(50);

/// Between two looks whether there is a first run.
const WAIT: Duration = Duration::from_millis(250);

/// Options of `report`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The file to write, `-` for standard output; replaced if it exists
    #[arg(short, long, value_name = "FILE", conflicts_with = "file")]
    pub output: Option<PathBuf>,
    /// The same as -output
    #[arg(value_name = "FILE", required_unless_present = "output")]
    pub file: Option<PathBuf>,
    /// Rewrite the page again and again during a run; a browser that shows it reloads it. If nothing ever ran, wait
    /// for the first run
    #[arg(long)]
    pub follow: bool,
    /// The runset whose tasks are shown, or `all` of them; default: the newest
    #[arg(long, value_name = "NAME")]
    pub runset: Option<String>,
}

/// Writes the page: to a file, or to standard output for `-`.
pub(super) fn main(
    places: &Places,
    arguments: &Options,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let to = arguments.output.as_ref().or(arguments.file.as_ref());
    let to = to.map_or(Path::new("-"), PathBuf::as_path);
    let standard_output = own::is_standard_output(to);
    if standard_output && arguments.follow {
        return Err(Failure::usage(
            "-follow writes a file again and again, and standard output is none".to_owned(),
        )
        .hint("name one: report -follow report.html"));
    }
    let place = if standard_output {
        to.to_owned()
    } else {
        own::check_file(places, to)?;
        check(to)?
    };
    let (state, runset) = opened(places, arguments)?;
    let store = select::store(&state)?;
    let manifest = manifest(places)?;
    let html = |again: Option<u32>| -> Result<String, Failure> {
        let now = sys::now().as_millisecond();
        let mut page = overview::page(&state, &store, runset.one(), manifest.as_ref(), now)?;
        page.again = again;
        Ok(page::render(&page))
    };
    if standard_output {
        output::print_as_it_is(&html(None)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let inbox = signals::end_at_once()?;
    let is_at_work = || arguments.follow && Lock::holder(state.layout()).is_some();
    let mut told = output.quiet;
    loop {
        let began = Instant::now();
        // Asked for before the page is made: what a run writes last is in the last page.
        let again = is_at_work().then_some(AGAIN);
        write(&place, &html(again)?)
            .map_err(|error| cannot_write(to, &error).or_signal(inbox.signal()))?;
        if !std::mem::replace(&mut told, true) {
            let until = match again {
                Some(_) => ", again and again until the run has ended",
                None if arguments.follow => ", as it is now: no run is on",
                None => "",
            };
            output::print(&format!("{}{until}\n", to.shown()))?;
        }
        if again.is_none() {
            return Ok(ExitCode::SUCCESS);
        }
        let pause = PAUSE.max(began.elapsed() * SHARE);
        let until = Instant::now() + pause;
        while Instant::now() < until && is_at_work() {
            std::thread::sleep(LOOK);
        }
    }
}

/// What is shown. Where nothing ever ran, one who follows waits for the first run.
fn opened(places: &Places, arguments: &Options) -> Result<(Reader, Selection), Failure> {
    let mut is_waiting = false;
    loop {
        match Reader::open(&places.db) {
            Err(state::Error::Absent(_)) if arguments.follow => {}
            Err(error) => return Err(error.into()),
            Ok(state) => {
                let wanted = arguments.runset.as_deref();
                let is_first = arguments.follow && state.newest_runset()?.is_none();
                let runset = match wanted.filter(|_| is_first) {
                    Some(_) => Selection::None,
                    None => selected(&state, wanted)?,
                };
                if !matches!(runset, Selection::None) {
                    return Ok((state, runset));
                }
                if !arguments.follow {
                    return Err(nothing_ran(state.layout()));
                }
            }
        }
        if !std::mem::replace(&mut is_waiting, true) {
            out::tell(&format!(
                "nothing ever ran in {}: waiting for a run (Ctrl-C ends)\n",
                places.db.shown()
            ));
        }
        std::thread::sleep(WAIT);
    }
}

fn cannot_write(to: &Path, error: &io::Error) -> Failure {
    let elsewhere = "name a file in a folder that is there and can be written: -o FILE.html";
    Failure::not_written(to, error, elsewhere)
}

/// Where the page is to be. Refuses what is there and must not be replaced, before any work is done.
fn check(to: &Path) -> Result<PathBuf, Failure> {
    match fs::metadata(to) {
        Ok(there) if there.is_dir() => {
            Err(
                Failure::usage(format!("cannot write {}: it is a folder", to.shown())).hint(
                    format!("name a file in it: -o {}", to.join("report.html").shown()),
                ),
            )
        }
        Ok(there) if !there.is_file() => Err(Failure::usage(format!(
            "cannot write {}: it is no regular file",
            to.shown()
        ))
        .hint("`-o -` writes to standard output")),
        _ => staged::place(to).map_err(|error| cannot_write(to, &error)),
    }
}

/// Puts the page in place whole or not at all.
fn write(to: &Path, html: &str) -> io::Result<()> {
    let mut page = Staged::file(to, "report")?;
    page.write_all(html.as_bytes())?;
    page.open().sync_all()?;
    page.complete(to)
}
