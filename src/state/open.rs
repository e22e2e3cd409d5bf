//! Opening the database, for writing and for reading.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::backup::Backup;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, FileControl, MAIN_DB};

use super::cell::Wrong;
use super::database::Database;
use super::guard::wait_when_busy;
use super::{
    Context, Error, Layout, Lock, Mended, Question, Reader, Reading, Room, State, Sync, files,
    guard, mend, reader, reserve, schema,
};

const COPYING: &str = "copy the database";
pub(super) const MAKE: &str = "make the db folder";
const DOING: &str = "set up the database";

impl Reader {
    /// Opens an existing db folder for reading.
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        let layout = Layout::new(root);
        let reading = Some(Reading::begin(&layout));
        let (connection, format) = reader::open(&layout)?;
        let reader = if format < schema::FORMAT {
            // Only a writer may bring the file itself to the present format.
            State::copy_of(Some(&connection), layout, Room::Plenty)?.reader
        } else {
            Self::with(connection, layout)
        };
        Ok(Self {
            _reading: reading,
            ..reader
        })
    }

    /// The same for questions that are worth no more than a moment: no statement takes more than that, and one that
    /// would is broken off; nobody is made to wait for them. A db of an older format is not read at all.
    pub(crate) fn open_for_a_moment(root: &Path) -> Result<Self, Error> {
        /// Of `SQLite`, for each statement: some tenths of a second.
        const STEPS: u64 = 5_000_000;
        let layout = Layout::new(root);
        let (connection, format) = reader::open_at_once(&layout)?;
        if format < schema::FORMAT {
            return Err(Error::Absent(layout.root().to_owned()));
        }
        let mut reader = Self::with(connection, layout);
        reader.take_no_longer_than(STEPS)?;
        Ok(reader)
    }

    /// A private copy of some rows: of each table those that meet an SQL condition.
    pub(super) fn copy_of(&self, rows: &[(&str, String)]) -> Result<State, Error> {
        let mut connection = in_no_place(&self.layout, Room::Plenty)?;
        schema::migrate(&mut connection, &self.layout, 0)?;
        // What they refer to may be left out.
        connection
            .pragma_update(None, "foreign_keys", false)
            .during(&self.layout, COPYING)?;
        for (table, which) in rows {
            copy_rows(&self.connection, &connection, table, which)
                .map_err(|error| misfit(table, error))
                .during(&self.layout, COPYING)?;
        }
        Ok(State::with(connection, self.layout.clone()))
    }

    fn with(mut connection: Connection, layout: Layout) -> Self {
        connection.set_prepared_statement_cache_capacity(64);
        // Else a statement is compiled again for each new value of some parameters, in the hope of
        // a better plan. A failure costs time alone.
        let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true);
        // From now on for each statement by itself.
        let effort = guard::Effort::limit(&mut connection, &layout).unwrap_or_default();
        Self {
            connection: Database::new(connection, layout.clone(), effort),
            layout,
            _reading: None,
        }
    }
}

impl State {
    /// Opens the db folder for writing, and makes it if it is not there; whether it was made now.
    ///
    /// Fails if another process has it open for writing; waits for one who only removes what nothing needs.
    pub(crate) fn open(root: &Path) -> Result<(Self, Lock, bool), Error> {
        let layout = to_be_opened(root)?;
        let lock = Lock::take(&layout, true)?;
        let (state, created) = Self::open_locked(layout, &lock, Room::Plenty)?;
        reserve::keep(&state.layout);
        Ok((state, lock, created))
    }

    /// The same for one who only removes: waits for nobody, and has a run wait that comes meanwhile.
    pub(crate) fn open_to_remove(
        root: &Path,
        space: Room,
    ) -> Result<(Self, Lock, Option<Question>), Error> {
        let layout = to_be_opened(root)?;
        let lock = Lock::take(&layout, false)?;
        // At once, as nobody waits long for one who does not say so. On a full disk there may be no room for it.
        let tells = Question::alone(&layout).ok();
        let (state, _) = Self::open_locked(layout, &lock, space)?;
        Ok((state, lock, tells))
    }

    fn open_locked(layout: Layout, lock: &Lock, room: Room) -> Result<(Self, bool), Error> {
        let created = make_file(&layout.database())?;
        files::check(&layout)?;
        let (connection, mended) = match connect(&layout, created) {
            // With its log it could have been a whole one.
            Err(Error::Corrupt { .. }) if layout.is_blank() => {
                begin_anew(&layout)?;
                connect(&layout, false)?
            }
            connected => connected?,
        };
        lock.add_database(&layout)?;
        let mut state = Self::with(connection, layout);
        state.has(room);
        state.mended = mended;
        state.lock = Some(lock.clone());
        state.newest_task()?;
        state.drop_strays()?;
        Ok((state, created))
    }

    /// Opens the db folder for writing beside a run that holds still ([`Question`](super::Question)).
    pub(crate) fn open_beside(layout: &Layout, room: Room) -> Result<Self, Error> {
        Self::open_shared(layout, room, true)
    }

    /// The same where nobody else has it open, for one whose disk has no room for `db-shm`, which all who have it open share.
    pub(crate) fn open_without_index(layout: &Layout, room: Room) -> Result<Self, Error> {
        Self::open_shared(layout, room, false)
    }

    fn open_shared(layout: &Layout, room: Room, shared: bool) -> Result<Self, Error> {
        files::check(layout)?;
        let mut connection =
            Connection::open(layout.file_name()).during(layout, "open the database")?;
        if !shared {
            connection
                .pragma_update(None, "locking_mode", "EXCLUSIVE")
                .during(layout, "open the database")?;
        }
        guard::restrict(&mut connection, layout).during(layout, "open the database")?;
        wait_when_busy(&connection, layout)?;
        schema::check(&connection, layout)?;
        guard::check_conditions(&connection, layout)?;
        settings(&connection, layout)?;
        let mut state = Self::with(connection, layout.clone());
        state.beside = true;
        state.has(room);
        state.set_synchronous("NORMAL")?;
        Ok(state)
    }

    /// A copy of the db folder's database in the present format, for one who tries out what would
    /// become of it: nothing that is done to it is done to the folder. Without a database there,
    /// an empty one.
    pub(crate) fn private_copy(root: &Path) -> Result<Self, Error> {
        Self::private_copy_within(root, Room::Plenty)
    }

    /// The same; with little room all of it is in memory.
    pub(crate) fn private_copy_within(root: &Path, space: Room) -> Result<Self, Error> {
        let layout = Layout::new(root);
        match reader::open(&layout) {
            Ok((connection, _)) => {
                guard::check_conditions(&connection, &layout)?;
                Self::copy_of(Some(&connection), layout, space)
            }
            Err(Error::Absent(_)) => {
                files::check_alone(&layout)?;
                Self::copy_of(None, layout, space)
            }
            Err(error) => Err(error),
        }
    }

    fn copy_of(source: Option<&Connection>, layout: Layout, room: Room) -> Result<Self, Error> {
        let mut connection = in_no_place(&layout, room)?;
        if let Some(source) = source {
            // All pages at once: a copy in steps begins anew whenever a run writes.
            Backup::new(source, &mut connection)
                .and_then(|copy| copy.run_to_completion(i32::MAX, Duration::from_millis(50), None))
                .during(&layout, COPYING)?;
        }
        let format = schema::check(&connection, &layout)?;
        schema::migrate(&mut connection, &layout, format)?;
        let mut state = Self::with(connection, layout);
        state.room = room;
        state.newest_task()?;
        Ok(state)
    }

    /// For one who removes: how much room there is. With little, the log is brought to the file as far as that takes none, so
    /// that it has some itself.
    fn has(&mut self, room: Room) {
        self.room = room;
        self.clear_log();
    }

    /// Brings the log to the file where there is little room; waits for nobody.
    pub(super) fn clear_log(&self) {
        if self.room == Room::Little {
            // What does not fit into the file stays in the log.
            let _ = self.reader.connection.checkpoint();
        }
    }

    /// Whether there is.
    pub(crate) fn has_little_room(&self) -> bool {
        self.room == Room::Little
    }

    /// Gives the room back that is set aside in the db folder for those who remove; whether there was any.
    pub(crate) fn take_reserve(root: &Path) -> bool {
        reserve::give_back(&Layout::new(root))
    }

    /// Sets it aside again, if there is plenty by now.
    pub(crate) fn keep_reserve(root: &Path) {
        reserve::keep(&Layout::new(root));
    }

    /// The same without any task: for one who only asks what would become of the steps. There may
    /// be millions of tasks.
    pub(crate) fn private_copy_of_steps(root: &Path) -> Result<Self, Error> {
        let tables = [
            "step",
            "runset",
            "tally",
            "environment",
            "meta",
            "file",
            "param",
        ];
        let rows = tables.map(|table| (table, "1".to_owned()));
        Reader::open(root)?.copy_of(&rows)
    }

    /// A database in memory, for tests.
    #[cfg(test)]
    pub(crate) fn in_memory() -> Self {
        let mut connection = Connection::open_in_memory().expect("SQLite opens in memory");
        let layout = Layout::new(Path::new("/nowhere"));
        schema::migrate(&mut connection, &layout, 0).expect("the schema is right");
        Self::with(connection, layout)
    }

    /// One with this database, for tests.
    #[cfg(test)]
    pub(super) fn with_connection(connection: Connection, layout: Layout) -> Self {
        Self::with(connection, layout)
    }

    /// Opens a db folder that was open just now: what other tests start may have the lock until it
    /// executes something else.
    #[cfg(test)]
    pub(crate) fn open_again(root: &Path) -> (Self, Lock) {
        for _ in 0..400 {
            match Self::open(root) {
                Err(Error::Locked(_)) => std::thread::sleep(Duration::from_millis(5)),
                opened => {
                    let (state, lock, _) = opened.expect("the folder can be opened");
                    return (state, lock);
                }
            }
        }
        panic!("the lock is not given back");
    }

    /// Makes the paths of the layout absolute: the process will go to another folder.
    pub(crate) fn find_from_everywhere(&mut self) -> io::Result<()> {
        // SQLite has made its own so already.
        self.reader.layout = Layout::new(&std::path::absolute(self.reader.layout.root())?);
        Ok(())
    }

    fn with(connection: Connection, layout: Layout) -> Self {
        Self {
            reader: Reader::with(connection, layout),
            lock: None,
            beside: false,
            room: Room::Plenty,
            sync: Sync::default(),
            marked: false,
            mended: Mended::default(),
            workers: None,
        }
    }
}

fn connect(layout: &Layout, created: bool) -> Result<(Connection, Mended), Error> {
    const OPENING: &str = "open the database";
    let mut connection = Connection::open(layout.file_name()).during(layout, OPENING)?;
    guard::restrict(&mut connection, layout).during(layout, OPENING)?;
    let mended = prepare(&mut connection, layout, created)?;
    Ok((connection, mended))
}

/// Takes the zeros from a file that holds nothing else. `SQLite` removes the log of an empty one.
fn begin_anew(layout: &Layout) -> Result<(), Error> {
    let path = layout.database();
    let file = fs::OpenOptions::new().write(true).open(&path);
    file.and_then(|file| file.set_len(0))
        .map_err(|source| Error::Io {
            action: "empty",
            path,
            source,
        })
}

fn prepare(connection: &mut Connection, layout: &Layout, created: bool) -> Result<Mended, Error> {
    wait_when_busy(connection, layout)?;
    // Before the file of another program is changed.
    let format = schema::check(connection, layout)?;
    guard::check_conditions(connection, layout)?;
    let synchronous = |connection: &Connection, level: &str| {
        connection
            .pragma_update(None, "synchronous", level)
            .during(layout, DOING)
    };
    if created {
        // There is nothing to lose yet: a power cut now leaves no database, or an empty one.
        // On a busy disk each sync would take as long as the start of a run may.
        synchronous(connection, "OFF")?;
    }
    settings(connection, layout)?;
    let emptied = !created && schema::is_bare(connection, layout)? && layout.has_objects();
    let mut mended = schema::migrate(connection, layout, format)?;
    if mend::is_called_for(connection).during(layout, DOING)? {
        mended = mend::counts(connection).during(layout, "count tasks")?;
    }
    // In WAL mode: a commit is a write without a sync (`Sync::Lazy`).
    synchronous(connection, "NORMAL")?;
    Ok(Mended { emptied, ..mended })
}

/// How writers write.
fn settings(connection: &Connection, layout: &Layout) -> Result<(), Error> {
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA cache_size = -12288;
             PRAGMA wal_autocheckpoint = 4000;
             PRAGMA temp_store = MEMORY;
             PRAGMA journal_size_limit = 16777216;",
        )
        .during(layout, DOING)?;
    // Whoever may only read needs the files beside the database (`reader`).
    connection
        .file_control(Some(MAIN_DB), FileControl::PersistWal(&mut 1))
        .during(layout, DOING)
}

/// A database in a file of `SQLite`'s own, in memory while it is small or there is no room.
fn in_no_place(layout: &Layout, room: Room) -> Result<Connection, Error> {
    let name = match room {
        Room::Plenty => "",
        Room::Little => ":memory:",
    };
    Connection::open(name)
        .and_then(|mut connection| {
            guard::restrict(&mut connection, layout)?;
            Ok(connection)
        })
        .during(layout, COPYING)
}

/// The length in bytes of a path as `SQLite` makes it: absolute, links resolved.
pub(super) fn absolute_length(path: &Path) -> usize {
    let whole = fs::canonicalize(path).or_else(|_| std::path::absolute(path));
    whole.map_or(0, |whole| whole.as_os_str().len())
}

/// Copies rows of a table that is in both: those that meet the SQL condition `which`.
fn copy_rows(from: &Database, to: &Connection, table: &str, which: &str) -> rusqlite::Result<()> {
    let mut read = from.prepare(&format!("SELECT * FROM {table} WHERE {which}"))?;
    let columns: Vec<&str> = read.column_names().collect();
    let columns = columns.join(", ");
    let count = read.column_count();
    let values = vec!["?"; count].join(", ");
    let mut write = to.prepare(&format!(
        "INSERT INTO {table} ({columns}) VALUES ({values})"
    ))?;
    let mut rows = read.query([])?;
    while let Some(row) = rows.next()? {
        let values: Vec<rusqlite::types::Value> = (0..count)
            .map(|column| row.get(column))
            .collect::<Result<_, _>>()?;
        write.execute(rusqlite::params_from_iter(values))?;
    }
    Ok(())
}

/// What the tables do not take is not as this program writes it.
fn misfit(table: &str, error: rusqlite::Error) -> rusqlite::Error {
    if error.sqlite_error_code() != Some(rusqlite::ErrorCode::ConstraintViolation) {
        return error;
    }
    Wrong::Misfit(format!(
        "a row of its table {table} is not complete: {error}"
    ))
    .into_error()
}

/// Makes the file of the database, empty, where it is not there; whether it was made. `SQLite`
/// would not let a group write to it, whatever the umask says.
fn make_file(path: &Path) -> Result<bool, Error> {
    let made = fs::File::create_new(path);
    match made {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(source) if source.kind() == io::ErrorKind::StorageFull => {
            Err(Error::Full(path.to_owned()))
        }
        Err(source) => Err(Error::Io {
            action: "make",
            path: path.to_owned(),
            source,
        }),
    }
}

/// Why there is no folder at `root` although something is there.
fn in_the_way(root: &Path, source: io::Error) -> Error {
    let path = root.to_owned();
    match fs::read_link(root) {
        Ok(target) => Error::LinkToNothing { path, target },
        Err(_) if fs::metadata(root).is_ok() => Error::NotAFolder(path),
        Err(_) => Error::Io {
            action: MAKE,
            path,
            source,
        },
    }
}

/// The db folder, made if it is not there.
fn to_be_opened(root: &Path) -> Result<Layout, Error> {
    let layout = Layout::new(root);
    make_folder(root)?;
    files::check_alone(&layout)?;
    Ok(layout)
}

fn make_folder(root: &Path) -> Result<(), Error> {
    match fs::create_dir_all(root) {
        Ok(()) => Ok(()),
        Err(_) if root.is_file() => Err(Error::NotAFolder(root.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(in_the_way(root, error)),
        Err(source) if source.kind() == io::ErrorKind::StorageFull => {
            Err(Error::Full(root.to_owned()))
        }
        Err(source) => Err(Error::Io {
            action: MAKE,
            path: root.to_owned(),
            source,
        }),
    }
}
