//! A server with the files of a folder: by plain HTTP, and with PUT and HEAD as S3 has them. It looks at no signature.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How it answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As it should.
    Well,
    /// What is not there is forbidden, as S3 says to whoever may not list.
    Guarded,
    /// It refuses all.
    Refusing,
    /// It takes connections, and says nothing.
    Silent,
}

pub struct Server {
    port: u16,
    /// Requests so far.
    pub requests: Arc<AtomicUsize>,
}

impl Server {
    /// Serves the folder until the tests are over.
    pub fn start(root: &Path, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicUsize::new(0));
        let (root, count) = (root.to_owned(), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (root, count) = (root.clone(), Arc::clone(&count));
                std::thread::spawn(move || serve(&stream, &root, manner, &count));
            }
        });
        Self { port, requests }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// Answers one request after the other.
fn serve(mut stream: &TcpStream, root: &Path, manner: Manner, count: &AtomicUsize) {
    let mut lines = BufReader::new(stream);
    loop {
        let mut request = String::new();
        if lines.read_line(&mut request).unwrap_or(0) == 0 {
            return;
        }
        let (mut length, mut new) = (0, false);
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            new |= line.starts_with("if-none-match: *");
        }
        let mut body = vec![0; length];
        lines.read_exact(&mut body).unwrap();
        count.fetch_add(1, Ordering::Relaxed);
        let mut words = request.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let file: PathBuf = root.join(path.trim_start_matches('/'));
        let (status, answer) = match (manner, method) {
            (Manner::Silent, _) => {
                std::thread::park();
                return;
            }
            (Manner::Refusing, _) => ("403 Forbidden", Vec::new()),
            // Buckets have no such key, as a folder's path would lead to.
            _ if path.contains("//") => ("404 Not Found", Vec::new()),
            (_, "PUT") if new && file.exists() => ("412 Precondition Failed", Vec::new()),
            (_, "PUT") => {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(&file, &body).unwrap();
                ("200 OK", Vec::new())
            }
            (_, "GET" | "HEAD") => match (fs::read(&file), manner) {
                (Ok(bytes), _) => ("200 OK", bytes),
                (Err(_), Manner::Guarded) => ("403 Forbidden", Vec::new()),
                (Err(_), _) => ("404 Not Found", Vec::new()),
            },
            _ => ("405 Method Not Allowed", Vec::new()),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nETag: \"x\"\r\n\
             Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n",
            answer.len()
        );
        let answer = if method == "HEAD" { Vec::new() } else { answer };
        if stream
            .write_all(&[head.into_bytes(), answer].concat())
            .is_err()
        {
            return;
        }
    }
}
