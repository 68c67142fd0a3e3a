//! The queue in an SQLite file, shared by all processes that run pipelines of one environment.
//!
//! The queue holds nothing that the object store does not know: a file that is damaged is set aside, and the messages of
//! a run are derived again when somebody resumes it.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use liminal_schemas::time::UtcTime;
use rusqlite::Connection;
use rusqlite::ErrorCode;
use rusqlite::OptionalExtension;
use rusqlite::params;
use tokio::sync::Notify;

use crate::clock::SystemClock;
use crate::ports::Clock;
use crate::ports::Delivery;
use crate::ports::Queue;
use crate::ports::QueueError;
use crate::ports::Receipt;

/// How long a statement waits for another process: far longer than any of ours takes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause before a file that others are opening is tried again.
const OPEN_PAUSE: Duration = Duration::from_millis(5);

const SCHEMA: &str = "
    create table if not exists messages (
        id integer primary key autoincrement,
        queue text not null,
        body text not null,
        visible_at integer not null,
        receives integer not null default 0
    );
    create index if not exists by_queue on messages (queue, visible_at, id);
";

/// Messages in an SQLite file.
pub struct SqliteQueue<C = SystemClock> {
    path: PathBuf,
    connection: Mutex<Connection>,
    clock: C,
    sent: Notify,
}

/// A queue that was opened.
pub struct OpenedQueue<C = SystemClock> {
    /// The queue.
    pub queue: SqliteQueue<C>,
    /// Where a damaged file was moved, if there was one: people are to be told.
    pub set_aside: Option<PathBuf>,
}

/// What the driver of a run on this machine asks of its queue beyond the port.
pub trait WatchedQueue: Queue {
    /// Drops all messages of a queue: for the sole driver of a run, which derives them again from the object store.
    ///
    /// # Errors
    /// When the file can not be used.
    fn purge(&self, queue: &str) -> Result<(), QueueError>;

    /// When the next message of a queue is due, if any is there. It may be due already.
    ///
    /// # Errors
    /// When the file can not be used.
    fn next_due(&self, queue: &str) -> Result<Option<UtcTime>, QueueError>;

    /// Ends when this process sends or puts back a message, or did so since the last time.
    fn sent(&self) -> impl Future<Output = ()> + Send;
}

impl<C: Clock> SqliteQueue<C> {
    /// Opens the queue in a file, which is made if it is not there. A file that is no database, or a damaged one, is set
    /// aside.
    ///
    /// # Errors
    /// When the file can neither be used nor set aside.
    pub fn open(path: impl Into<PathBuf>, clock: C) -> Result<OpenedQueue<C>, QueueError> {
        let path = path.into();
        let mut set_aside = None;
        let connection = match connect_patiently(&path) {
            Ok(connection) => connection,
            Err(error) if is_damage(&error) => {
                let aside = move_aside(&path, clock.now())
                    .map_err(|source| unavailable(&path, "set a damaged file aside", source))?;
                set_aside = Some(aside);
                connect_patiently(&path).map_err(|source| failed(&path, "open", source))?
            }
            Err(error) => return Err(failed(&path, "open", error)),
        };
        let queue = Self { path, connection: Mutex::new(connection), clock, sent: Notify::new() };
        Ok(OpenedQueue { queue, set_aside })
    }

    /// A statement either took place or did not, whatever panicked, so a poisoned lock holds nothing broken.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn due(&self, delay: Duration) -> i64 {
        self.clock.now().plus_millis(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX)).millis()
    }
}

impl<C: Clock> Queue for SqliteQueue<C> {
    fn max_delay(&self) -> Option<Duration> {
        None
    }

    async fn send(&self, queue: &str, body: &str, delay: Duration) -> Result<(), QueueError> {
        let due = self.due(delay);
        let send = || {
            let connection = self.connection();
            connection
                .prepare_cached("insert into messages (queue, body, visible_at) values (?1, ?2, ?3)")?
                .execute(params![queue, body, due])
        };
        send().map_err(|source| failed(&self.path, "send a message", source))?;
        self.sent.notify_one();
        Ok(())
    }

    async fn send_many(&self, queue: &str, bodies: &[String]) -> Result<(), QueueError> {
        let due = self.due(Duration::ZERO);
        let send = || {
            let mut connection = self.connection();
            let transaction = connection.transaction()?;
            {
                let mut insert =
                    transaction.prepare_cached("insert into messages (queue, body, visible_at) values (?1, ?2, ?3)")?;
                for body in bodies {
                    insert.execute(params![queue, body, due])?;
                }
            }
            transaction.commit()
        };
        send().map_err(|source| failed(&self.path, "send messages", source))?;
        self.sent.notify_one();
        Ok(())
    }

    async fn receive(&self, queue: &str, visibility: Duration) -> Result<Option<Delivery>, QueueError> {
        let (now, until) = (self.clock.now().millis(), self.due(visibility));
        let receive = || {
            let connection = self.connection();
            let mut statement = connection.prepare_cached(
                "update messages set receives = receives + 1, visible_at = ?3
                 where id = (select id from messages where queue = ?1 and visible_at <= ?2 order by visible_at, id limit 1)
                 returning id, body, receives",
            )?;
            let delivery = |row: &rusqlite::Row<'_>| {
                let (id, body, receives): (i64, String, u32) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(Delivery { body, receipt: Receipt::new(format!("{id}.{receives}")), receives })
            };
            statement.query_row(params![queue, now, until], delivery).optional()
        };
        receive().map_err(|source| failed(&self.path, "receive a message", source))
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<(), QueueError> {
        let Some((id, receives)) = parts(receipt) else { return Ok(()) };
        let until = self.due(visibility);
        let extend = || {
            let connection = self.connection();
            connection
                .prepare_cached("update messages set visible_at = ?3 where id = ?1 and receives = ?2")?
                .execute(params![id, receives, until])
        };
        extend().map_err(|source| failed(&self.path, "put a message back", source))?;
        self.sent.notify_one();
        Ok(())
    }

    async fn delete(&self, receipt: &Receipt) -> Result<(), QueueError> {
        let Some((id, receives)) = parts(receipt) else { return Ok(()) };
        let delete = || {
            let connection = self.connection();
            connection
                .prepare_cached("delete from messages where id = ?1 and receives = ?2")?
                .execute(params![id, receives])
        };
        delete().map_err(|source| failed(&self.path, "delete a message", source))?;
        Ok(())
    }
}

impl<C: Clock> WatchedQueue for SqliteQueue<C> {
    fn purge(&self, queue: &str) -> Result<(), QueueError> {
        let purge = || {
            let connection = self.connection();
            // Most often there is nothing to purge, and reading is cheaper than an empty write.
            let any: Option<i64> = connection
                .prepare_cached("select id from messages where queue = ?1 limit 1")?
                .query_row(params![queue], |row| row.get(0))
                .optional()?;
            if any.is_some() {
                connection.prepare_cached("delete from messages where queue = ?1")?.execute(params![queue])?;
            }
            Ok(())
        };
        purge().map_err(|source| failed(&self.path, "drop messages", source))
    }

    fn next_due(&self, queue: &str) -> Result<Option<UtcTime>, QueueError> {
        let next = || {
            let connection = self.connection();
            let mut statement = connection.prepare_cached("select min(visible_at) from messages where queue = ?1")?;
            statement.query_row(params![queue], |row| row.get::<_, Option<i64>>(0))
        };
        let millis = next().map_err(|source| failed(&self.path, "look for the next message", source))?;
        Ok(millis.map(UtcTime::from_millis))
    }

    async fn sent(&self) {
        self.sent.notified().await;
    }
}

/// A receipt names the message and how often it had been received, so that it is void after the next time.
fn parts(receipt: &Receipt) -> Option<(i64, u32)> {
    let (id, receives) = receipt.as_str().split_once('.')?;
    Some((id.parse().ok()?, receives.parse().ok()?))
}

/// Several processes may open a new file at once. SQLite reports the switch to write-ahead logging as busy without asking
/// the busy handler (https://sqlite.org/wal.html#sometimes_queries_return_sqlite_busy_in_wal_mode), so it is tried again.
fn connect_patiently(path: &Path) -> rusqlite::Result<Connection> {
    let start = std::time::Instant::now();
    loop {
        match connect(path) {
            Err(error)
                if matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
                    && start.elapsed() < BUSY_TIMEOUT =>
            {
                std::thread::sleep(OPEN_PAUSE);
            }
            other => return other,
        }
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // What a process wrote survives its death without any flush to the disk. A loss of power may damage the file, which
    // costs nothing that is not derived again.
    connection.pragma_update(None, "synchronous", "off")?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    let verdict: String = connection.query_row("pragma quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        return Err(rusqlite::Error::SqliteFailure(code, Some(verdict)));
    }
    connection.execute_batch(SCHEMA)?;
    // A table of that name with other columns is none of ours.
    connection.prepare("select id, queue, body, visible_at, receives from messages limit 0")?;
    Ok(connection)
}

fn is_damage(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(code) => matches!(code, ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::Unknown),
        None => false,
    }
}

fn move_aside(path: &Path, now: UtcTime) -> io::Result<PathBuf> {
    let suffixed = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let aside = suffixed(&format!(".corrupt-{}", now.millis()));
    fs::rename(path, &aside)?;
    for companion in ["-wal", "-shm"] {
        // They belong to the damaged file, and are most often not there.
        let _ = fs::remove_file(suffixed(companion));
    }
    Ok(aside)
}

fn failed(path: &Path, action: &'static str, source: rusqlite::Error) -> QueueError {
    if is_damage(&source) {
        return QueueError::Corrupt { queue: path.display().to_string(), source: source.into() };
    }
    unavailable(path, action, source)
}

fn unavailable(
    path: &Path,
    action: &'static str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> QueueError {
    QueueError::Unavailable { queue: path.display().to_string(), action, source: source.into() }
}
