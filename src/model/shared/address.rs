//! Where a cache is.

use std::fmt;
use std::str::FromStr;

use crate::text::quoted;

/// Where results lie that are shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A folder: its absolute path.
    Folder(Box<str>),
    /// Below an address of the web, from which can only be read.
    Web(Box<str>),
    /// In a bucket, below a prefix that may be empty.
    Bucket(Box<str>, Box<str>),
}

/// Why a text is not the address of a cache.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is not the address of a cache: {why}", quoted(.text))]
pub struct BadAddress {
    text: String,
    why: &'static str,
    /// What would be one.
    pub hint: String,
}

impl Address {
    /// Whether results can be put there.
    pub fn takes(&self) -> bool {
        !matches!(self, Self::Web(_))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "file://{path}"),
            Self::Web(url) => f.write_str(url),
            Self::Bucket(bucket, prefix) if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::Bucket(bucket, prefix) => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        const FORMS: &str =
            "write file:///FOLDER, s3://BUCKET/PREFIX or, to read from, https://HOST/PATH";
        let bad = |why, hint: &str| {
            // What stands before an @ may be a password.
            let text = match (text.find("://"), text.rfind('@')) {
                (Some(at), Some(user)) if user > at => {
                    format!("{}://…{}", &text[..at], &text[user..])
                }
                _ => text.to_owned(),
            };
            Err(BadAddress {
                text,
                why,
                hint: hint.to_owned(),
            })
        };
        // Folders may have spaces in their names.
        let is_folder = text.starts_with("file:");
        let is_bad = |c: char| c.is_control() || c.is_whitespace() && !(is_folder && c == ' ');
        if text.chars().any(is_bad) {
            return bad("it has a space or a control character", FORMS);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            if text.starts_with('/') {
                return bad("it has no scheme", &format!("write file://{text}"));
            }
            return bad("it has no scheme", FORMS);
        };
        if rest.contains(['?', '#', '\\']) {
            return bad("it has `?`, `#` or `\\` in it", FORMS);
        }
        let rest = rest.trim_end_matches('/');
        let is_path = |path: &str| path.split('/').all(|name| !matches!(name, "" | "." | ".."));
        match scheme {
            "file" => match rest.strip_prefix('/') {
                Some(path) if is_path(path) => Ok(Self::Folder(rest.into())),
                _ => bad(
                    "its path is not a plain absolute path",
                    "write file:///srv/cache",
                ),
            },
            "http" | "https" => {
                let (host, path) = rest.split_once('/').unwrap_or((rest, "x"));
                if host.contains('@') {
                    let hint = "leave the user out: results there are signed, but not secret";
                    return bad("it has a user in it", hint);
                }
                if host.is_empty() || !is_path(path) {
                    return bad("its host or path is not plain", FORMS);
                }
                Ok(Self::Web(format!("{scheme}://{rest}").into()))
            }
            "s3" => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                let is_fit =
                    |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_".contains(c);
                if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(is_fit) {
                    let hint =
                        "write s3://BUCKET/PREFIX; AWS_ENDPOINT_URL says where the service is";
                    return bad("no bucket can have that name", hint);
                }
                if !prefix.is_empty() && !is_path(prefix) {
                    return bad("its prefix is not plain", "write s3://BUCKET/PREFIX");
                }
                Ok(Self::Bucket(bucket.into(), prefix.into()))
            }
            _ => bad("its scheme is unknown", FORMS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let folder = |path: &str| Address::Folder(path.into());
        let bucket = |name: &str, prefix: &str| Address::Bucket(name.into(), prefix.into());
        for (text, address, again) in [
            ("file:///srv/a", folder("/srv/a"), "file:///srv/a"),
            ("file:///srv/a/", folder("/srv/a"), "file:///srv/a"),
            ("file:///a b", folder("/a b"), "file:///a b"),
            ("s3://bucket", bucket("bucket", ""), "s3://bucket"),
            ("s3://bucket/", bucket("bucket", ""), "s3://bucket"),
            ("s3://b.u-1/a/b", bucket("b.u-1", "a/b"), "s3://b.u-1/a/b"),
            (
                "https://h:8080/p/",
                Address::Web("https://h:8080/p".into()),
                "https://h:8080/p",
            ),
            ("http://h", Address::Web("http://h".into()), "http://h"),
        ] {
            assert_eq!(text.parse(), Ok(address.clone()));
            assert_eq!(address.to_string(), again);
            assert_eq!(address.takes(), !text.starts_with("http"));
        }
    }

    #[test]
    fn what_is_none_says_why() {
        for (text, why) in [
            ("", "no scheme"),
            ("/srv/cache", "no scheme"),
            ("srv", "no scheme"),
            ("ftp://host/x", "scheme is unknown"),
            ("file://srv/a", "not a plain absolute path"),
            ("file:///", "not a plain absolute path"),
            ("file:///a/../b", "not a plain absolute path"),
            ("s3://", "no bucket"),
            ("s3://AB", "no bucket"),
            ("s3://bucket//x", "prefix"),
            ("https://", "host or path"),
            ("https://h//x", "host or path"),
            ("https://h/x?y", "`?`"),
            ("https://h/a b", "a space"),
            ("https://h/a\nb", "a space"),
        ] {
            let bad = text.parse::<Address>().unwrap_err();
            assert!(bad.to_string().contains(why), "{bad}");
            assert!(bad.hint.contains("://"), "{bad:?}");
        }
        let bad = "/srv/cache".parse::<Address>().unwrap_err();
        assert_eq!(bad.hint, "write file:///srv/cache");
    }

    #[test]
    fn a_password_is_not_told() {
        let bad = "https://me:pa55word@host/x".parse::<Address>().unwrap_err();
        assert!(bad.to_string().contains("a user in it"), "{bad}");
        assert!(!format!("{bad} {bad:?}").contains("pa55"), "{bad:?}");
    }
}
