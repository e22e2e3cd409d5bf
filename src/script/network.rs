//! Whether a script gets something from elsewhere: what it gets may be another thing tomorrow.
//!
//! A look at where commands begin, not a grammar: what is told of it is a hint.

/// Programs that do nothing else.
const ALWAYS: [&str; 16] = [
    "aria2c", "curl", "dig", "ftp", "gh", "gsutil", "http", "https", "lftp", "nslookup", "rclone",
    "scp", "sftp", "ssh", "wget", "yt-dlp",
];

/// Programs, and which words of theirs do.
const SOMETIMES: [(&str, &[&str]); 2] = [
    ("aws", &["s3", "s3api"]),
    ("git", &["clone", "fetch", "ls-remote", "pull"]),
];

/// Words behind which a command begins.
const BEFORE: [&str; 21] = [
    "!", "{", "if", "then", "elif", "else", "while", "until", "do", "time", "command", "exec",
    "env", "nohup", "nice", "sudo", "setsid", "timeout", "retry", "xargs", "parallel",
];

/// The first command of the script that gets something from elsewhere, in a word or two.
pub fn first_use(script: &str) -> Option<String> {
    commands(script).iter().find_map(|words| of_command(words))
}

fn of_command(words: &[String]) -> Option<String> {
    let mut words = words.iter().map(String::as_str).peekable();
    // Assignments, and what runs the command; of those also their options and numbers.
    let mut led = false;
    while let Some(word) = words.peek() {
        let leads = BEFORE.contains(word);
        let belongs = led && word.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        if !leads && !belongs && !is_assignment(word) {
            break;
        }
        led |= leads;
        words.next();
    }
    let path = words.next()?;
    let program = path.rsplit('/').next().unwrap_or(path);
    if ALWAYS.contains(&program) || program.starts_with("nix-prefetch-") {
        return Some(program.to_owned());
    }
    if program == "rsync" {
        return words.any(is_remote).then(|| program.to_owned());
    }
    let (_, which) = SOMETIMES.iter().find(|(name, _)| *name == program)?;
    let word = words.find(|word| which.contains(word))?;
    Some(format!("{program} {word}"))
}

fn is_assignment(word: &str) -> bool {
    let Some((name, _)) = word.split_once('=') else {
        return false;
    };
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(letter) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// `host:path`, `user@host:path`, `host::module`, `rsync://…`; no path has a `/` before its colon.
fn is_remote(word: &str) -> bool {
    let Some((host, _)) = word.split_once(':') else {
        return false;
    };
    !host.is_empty() && !host.starts_with('-') && !host.contains('/')
}

/// The words of what could be commands, without quotes; comments are none.
fn commands(script: &str) -> Vec<Vec<String>> {
    let mut found = vec![Vec::new()];
    let mut word = String::new();
    let mut begun = false;
    let mut quote = None;
    let mut letters = script.chars().peekable();
    let end_word = |word: &mut String, begun: &mut bool, found: &mut Vec<Vec<String>>| {
        if std::mem::take(begun)
            && let Some(words) = found.last_mut()
        {
            words.push(std::mem::take(word));
        }
    };
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('\''), letter) => word.push(letter),
            (None, '\'' | '"') => {
                quote = Some(letter);
                begun = true;
            }
            (_, '\\') => match letters.next() {
                Some('\n') | None => {}
                Some(letter) => {
                    word.push(letter);
                    begun = true;
                }
            },
            // A command of its own, wherever it stands.
            (_, '`') => {
                end_word(&mut word, &mut begun, &mut found);
                found.push(Vec::new());
                quote = None;
            }
            (_, '$') if letters.peek() == Some(&'(') => {
                letters.next();
                end_word(&mut word, &mut begun, &mut found);
                found.push(Vec::new());
                quote = None;
            }
            (Some(_), letter) => word.push(letter),
            (None, '#') if !begun => while letters.next_if(|letter| *letter != '\n').is_some() {},
            (None, ' ' | '\t') => end_word(&mut word, &mut begun, &mut found),
            (None, '\n' | ';' | '&' | '|' | '(' | ')') => {
                end_word(&mut word, &mut begun, &mut found);
                found.push(Vec::new());
            }
            (None, letter) => {
                word.push(letter);
                begun = true;
            }
        }
    }
    end_word(&mut word, &mut begun, &mut found);
    found
}

#[cfg(test)]
mod tests {
    use super::first_use;

    #[test]
    fn what_gets_something_from_elsewhere_is_found() {
        for (script, word) in [
            ("curl -sSf https://example.org > $OUTPUT_DIR/x", "curl"),
            ("set -e\n  /usr/bin/wget -q \"$url\"", "wget"),
            ("while read u; do curl $u; done < $INPUT_FILE", "curl"),
            ("a=$(curl -s x)", "curl"),
            ("echo \"got $(curl -s x)\"", "curl"),
            ("a=`ssh host uptime`", "ssh"),
            ("if ! wget x; then exit 1; fi", "wget"),
            ("LANG=C timeout 60s curl x", "curl"),
            ("sort u | xargs -n 1 -P4 wget", "wget"),
            ("cat urls | (cd x && curl -K -)", "curl"),
            ("nix-prefetch-url --print-path x", "nix-prefetch-url"),
            ("git clone --depth 1 https://x y", "git clone"),
            ("git -C y pull", "git pull"),
            ("rsync -a me@host:data/ .", "rsync"),
            ("rsync -a rsync://host/data .", "rsync"),
            ("aws --region eu-west-1 s3 cp s3://b/k .", "aws s3"),
            ("gh api repos/o/r", "gh"),
            ("scp host:a b", "scp"),
            ("echo a; \\\n  curl x", "curl"),
        ] {
            assert_eq!(first_use(script).as_deref(), Some(word), "{script}");
        }
    }

    #[test]
    fn what_only_looks_like_it_is_not() {
        for script in [
            "",
            "sort $INPUT_FILE",
            "# curl x\necho y # wget z",
            "echo curl",
            "grep curl $INPUT_FILE",
            "git log --oneline",
            "git status",
            "rsync -a a/ b/",
            "rsync -a --chmod=Du:rwx a/ b/",
            "aws configure list",
            "nix flake update",
            "curly x",
            "echo 'a; curl x'",
            "echo \"a; curl x\"",
            "sh_curl=1",
        ] {
            assert_eq!(first_use(script), None, "{script}");
        }
    }
}
