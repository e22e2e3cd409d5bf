//! Caches that are elsewhere: buckets of S3 and what speaks like it, and folders on the web, from which can only be read.
//!
//! Each call waits for its answer in the thread that makes it; what goes on below is the business of one thread more.

use std::future::Future;
use std::io::{self, Read, Write};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::aws::AmazonS3Builder;
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{
    ClientOptions, MultipartUpload, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions,
    PutPayload, RetryConfig,
};
use tokio::runtime::{Builder, Runtime};

use super::super::PATIENCE;
use super::{Body, Fault, NoPlace, Transport};

/// What goes there in one request (bytes); what is larger goes in as many parts as it takes.
const PART: usize = 8 << 20;
/// How long somebody has to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long he has for a part.
const SENDING: Duration = Duration::from_mins(2);
/// What says who one is, besides what the machine does.
const CREDENTIALS: [&str; 6] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
];

/// See the module.
pub(crate) struct Remote {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    runtime: Arc<Runtime>,
    /// Whether it has given something, so that a refusal is one of a single file.
    has_given: OnceLock<()>,
    /// What may be the matter where it refuses all.
    note: &'static str,
}

fn cannot(error: impl std::fmt::Display) -> NoPlace {
    NoPlace {
        words: format!("a cache on the network cannot be asked: {error}"),
        hint: "-no-cache does without",
    }
}

/// The thread for all of them, and the cryptography.
fn runtime() -> Result<Arc<Runtime>, NoPlace> {
    static RUNTIME: OnceLock<Arc<Runtime>> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(Arc::clone(runtime));
    }
    // Fails where there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Builder::new_multi_thread();
    let builder = builder.worker_threads(1).thread_name("cache network");
    let runtime = Arc::new(builder.enable_all().build().map_err(cannot)?);
    Ok(Arc::clone(RUNTIME.get_or_init(|| runtime)))
}

fn client() -> ClientOptions {
    // Time is kept here: that of a whole request says little of one that brings very much.
    ClientOptions::new()
        .with_connect_timeout(CONNECT)
        .with_timeout_disabled()
        .with_pool_max_idle_per_host(64)
}

fn retries() -> RetryConfig {
    RetryConfig {
        max_retries: 2,
        retry_timeout: PATIENCE,
        ..RetryConfig::default()
    }
}

impl Remote {
    /// A bucket. Who one is, the region and the service are in the variables that the tools of AWS read.
    pub(crate) fn bucket(bucket: &str, prefix: &str) -> Result<Self, NoPlace> {
        let is_set = |name: &&&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let [key, secret, ..] = CREDENTIALS;
        if is_set(&&key) != is_set(&&secret) {
            return Err(NoPlace {
                words: format!("cache s3://{bucket}: of {key} and {secret} only one is set"),
                hint: "set both, and export them, or none",
            });
        }
        // Also what the client below needs.
        let runtime = runtime()?;
        let known = CREDENTIALS.iter().any(|name| is_set(&name));
        let endpoint = std::env::var("AWS_ENDPOINT_URL").unwrap_or_default();
        let store = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .with_client_options(client().with_allow_http(endpoint.starts_with("http://")))
            .with_retry(retries())
            .build();
        let store = store.map_err(|error| NoPlace {
            words: format!("cache s3://{bucket}: {}", words(&error)),
            hint: "check AWS_REGION and AWS_ENDPOINT_URL",
        })?;
        Ok(Self {
            store: Arc::new(store),
            prefix: prefix.to_owned(),
            runtime,
            has_given: OnceLock::new(),
            note: if known {
                ""
            } else {
                " (no credentials are given: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set, and the machine has \
                 none)"
            },
        })
    }

    /// A folder on the web.
    pub(crate) fn web(url: &str) -> Result<Self, NoPlace> {
        let runtime = runtime()?;
        let store = HttpBuilder::new()
            .with_url(url)
            .with_client_options(client().with_allow_http(true))
            .with_retry(retries())
            .build();
        let store = store.map_err(|error| NoPlace {
            words: format!("cache {url}: {}", words(&error)),
            hint: "write https://HOST/PATH",
        })?;
        Ok(Self {
            store: Arc::new(store),
            prefix: String::new(),
            runtime,
            has_given: OnceLock::new(),
            note: "",
        })
    }

    fn path(&self, name: &str) -> Path {
        if self.prefix.is_empty() {
            return Path::from(name);
        }
        Path::from(format!("{}/{name}", self.prefix))
    }

    /// Waits for an answer, as long as one has for it.
    fn wait<T>(
        &self,
        patience: Duration,
        answer: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, Trouble> {
        self.runtime.block_on(async {
            match tokio::time::timeout(patience, answer).await {
                Ok(Ok(given)) => {
                    self.has_given.get_or_init(|| ());
                    Ok(given)
                }
                Ok(Err(error)) => Err(self.trouble(&error)),
                Err(_) => Err(Trouble::Fault(Fault::Gone(format!(
                    "no answer within {} s{}",
                    patience.as_secs(),
                    self.note
                )))),
            }
        })
    }

    fn trouble(&self, error: &object_store::Error) -> Trouble {
        use object_store::Error as E;
        let words = words(error) + self.note;
        match error {
            E::NotFound { .. } => Trouble::Absent,
            // S3 says so of what is not there to whoever may not list what is.
            E::PermissionDenied { .. } if self.has_given.get().is_some() => Trouble::Absent,
            E::PermissionDenied { .. } | E::Unauthenticated { .. } => {
                Trouble::Fault(Fault::Refused(words))
            }
            E::AlreadyExists { .. } | E::Precondition { .. } | E::NotModified { .. } => {
                Trouble::Taken
            }
            E::NotImplemented { .. } | E::NotSupported { .. } => Trouble::Unable(words),
            E::Generic { .. }
            | E::InvalidPath { .. }
            | E::JoinError { .. }
            | E::UnknownConfigurationKey { .. }
            | _ => Trouble::Fault(Fault::Gone(words)),
        }
    }

    fn put_whole(&self, name: &str, new: bool, bytes: Vec<u8>) -> Result<bool, Fault> {
        let path = self.path(name);
        let payload = PutPayload::from(bytes);
        let put = |mode: PutMode| {
            let options = PutOptions::from(mode);
            self.wait(
                SENDING,
                self.store.put_opts(&path, payload.clone(), options),
            )
        };
        if new {
            match put(PutMode::Create) {
                Ok(_) => return Ok(true),
                Err(Trouble::Taken) => return Ok(false),
                // Some services know no conditions: then one looks before.
                Err(Trouble::Unable(_)) if self.has(name)? => return Ok(false),
                Err(Trouble::Unable(_)) => {}
                Err(other) => return Err(other.into()),
            }
        }
        put(PutMode::Overwrite)?;
        Ok(true)
    }
}

/// What an answer says that is no success.
enum Trouble {
    Absent,
    Taken,
    Unable(String),
    Fault(Fault),
}

impl From<Trouble> for Fault {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Fault(fault) => fault,
            Trouble::Unable(words) => Self::Refused(words),
            Trouble::Absent => {
                Self::Refused("there is no such bucket, or nothing may be put there".to_owned())
            }
            Trouble::Taken => Self::Gone("somebody else puts something there".to_owned()),
        }
    }
}

/// The innermost causes of an error, in one line: those around them say which request it was.
fn words(error: &object_store::Error) -> String {
    let mut causes = vec![error.to_string()];
    let mut at: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(cause) = at {
        causes.push(cause.to_string());
        at = cause.source();
    }
    let last = causes.len().saturating_sub(2);
    let mut words: Vec<String> = causes.split_off(last);
    words.dedup_by(|inner, outer| outer.contains(inner.as_str()));
    let line = words.join(": ").replace(['\n', '\r'], " ");
    line.chars().take(300).collect()
}

impl Transport for Remote {
    fn read(&self, name: &str, most: usize) -> Result<Option<Vec<u8>>, Fault> {
        let path = self.path(name);
        let read = async {
            let found = self.store.get(&path).await?;
            if found.meta.size > most as u64 {
                return Ok(None);
            }
            found.bytes().await.map(|bytes| Some(bytes.to_vec()))
        };
        match self.wait(PATIENCE, read) {
            Ok(bytes) => Ok(bytes),
            Err(Trouble::Absent) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }

    fn open(&self, name: &str) -> Result<Option<Box<dyn Read + Send>>, Fault> {
        let path = self.path(name);
        match self.wait(PATIENCE, self.store.get(&path)) {
            Ok(found) => Ok(Some(Box::new(Incoming {
                pieces: found
                    .into_stream()
                    .map(|piece| piece.map(|bytes| bytes.to_vec()))
                    .boxed(),
                piece: Vec::new(),
                at: 0,
                runtime: Arc::clone(&self.runtime),
            }))),
            Err(Trouble::Absent) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }

    fn has(&self, name: &str) -> Result<bool, Fault> {
        let path = self.path(name);
        match self.wait(PATIENCE, self.store.head(&path)) {
            Ok(_) => Ok(true),
            Err(Trouble::Absent) => Ok(false),
            Err(other) => Err(other.into()),
        }
    }

    fn put(&self, name: &str, new: bool, body: Body) -> Result<bool, Fault> {
        let mut outgoing = Outgoing {
            to: self,
            path: self.path(name),
            part: Vec::new(),
            upload: None,
            fault: None,
        };
        let written = body(&mut outgoing);
        let Outgoing {
            part,
            upload,
            fault,
            ..
        } = outgoing;
        if let Some(mut upload) = upload {
            let done = match (fault, written) {
                (Some(fault), _) => Err(fault),
                (None, Err(error)) => Err(Fault::Here(error)),
                (None, Ok(())) => {
                    let payload = PutPayload::from(part);
                    self.wait(SENDING, upload.put_part(payload))
                        .and_then(|()| self.wait(SENDING, upload.complete()))
                        .map_err(Fault::from)
                }
            };
            if done.is_err() {
                // What is there of it costs money until it is gone.
                let _ = self.wait(PATIENCE, upload.abort());
            }
            return done.map(|_| true);
        }
        written.map_err(|error| fault.unwrap_or(Fault::Here(error)))?;
        self.put_whole(name, new, part)
    }
}

/// What comes in piece by piece.
struct Incoming {
    pieces: BoxStream<'static, object_store::Result<Vec<u8>>>,
    piece: Vec<u8>,
    at: usize,
    runtime: Arc<Runtime>,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            let next = self.pieces.next();
            let next = self
                .runtime
                .block_on(async { tokio::time::timeout(PATIENCE, next).await });
            match next {
                Err(_) => {
                    let words = format!("nothing more came within {} s", PATIENCE.as_secs());
                    return Err(io::Error::new(io::ErrorKind::TimedOut, words));
                }
                Ok(None) => return Ok(0),
                Ok(Some(Err(error))) => return Err(io::Error::other(words(&error))),
                Ok(Some(Ok(piece))) => (self.piece, self.at) = (piece, 0),
            }
        }
        let length = buffer.len().min(self.piece.len() - self.at);
        buffer[..length].copy_from_slice(&self.piece[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

/// What goes out: in one request, or in parts once it is more than one.
struct Outgoing<'r> {
    to: &'r Remote,
    path: Path,
    part: Vec<u8>,
    upload: Option<Box<dyn MultipartUpload>>,
    fault: Option<Fault>,
}

impl Outgoing<'_> {
    fn send(&mut self) -> Result<(), Fault> {
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => {
                let begun = self
                    .to
                    .wait(PATIENCE, self.to.store.put_multipart(&self.path));
                none.insert(begun?)
            }
        };
        let part = std::mem::take(&mut self.part);
        let sent = upload.put_part(PutPayload::from(part));
        Ok(self.to.wait(SENDING, sent)?)
    }
}

impl Write for Outgoing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.part.len() >= PART
            && let Err(fault) = self.send()
        {
            self.fault = Some(fault);
            return Err(io::Error::other("it cannot be sent"));
        }
        let length = bytes.len().min(PART - self.part.len());
        self.part.extend_from_slice(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
