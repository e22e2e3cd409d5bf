//! An `ssh` of a test's own, and who answers it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use crate::harness::{Running, Test, wait_for};

/// An sshd on a port of its own, and an `ssh` that knows it.
pub struct Sshd {
    child: Child,
    /// A folder for PATH.
    pub bin: PathBuf,
}

impl Sshd {
    pub fn start(folder: &Path) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = port.local_addr().unwrap().port();
        let at = |name: &str| folder.join(name);
        for key in ["host", "user"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(at(key))
                .status();
            assert!(made.is_ok_and(|status| status.success()), "ssh-keygen");
        }
        fs::copy(at("user.pub"), at("authorized")).unwrap();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nSetEnv THERE=yes\n",
            at("host").display(),
            at("authorized").display()
        );
        fs::write(at("sshd_config"), config).unwrap();
        let known = fs::read_to_string(at("host.pub")).unwrap();
        fs::write(at("known"), format!("[127.0.0.1]:{port} {known}")).unwrap();
        let config = format!(
            "Host lab\nHostName 127.0.0.1\nPort {port}\nIdentityFile {}\nUserKnownHostsFile {}\n\
             Host stranger\nHostName 127.0.0.1\nPort {port}\nIdentityFile {}\nUserKnownHostsFile /dev/null\n\
             StrictHostKeyChecking yes\n",
            at("user").display(),
            at("known").display(),
            at("user").display()
        );
        fs::write(at("ssh_config"), config).unwrap();
        let bin = at("bin");
        fs::create_dir(&bin).unwrap();
        let ssh = format!(
            "#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n",
            at("ssh_config").display()
        );
        fs::write(bin.join("ssh"), ssh).unwrap();
        fs::set_permissions(bin.join("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
        // Where it puts those whom it does not know yet.
        if rustix::process::geteuid().is_root() {
            let _ = fs::create_dir_all("/run/sshd");
        }
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(at("sshd_config"))
            .stderr(fs::File::create(at("log")).unwrap())
            .spawn()
            .expect("sshd (Debian: apt-get install openssh-server)");
        wait_for("sshd listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self { child, bin }
    }

    /// Starts a run that knows it.
    pub fn start_run(&self, test: &Test, arguments: &[&str]) -> Running {
        let mut command = test.command(arguments);
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.bin.display()));
        Running::start(command)
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
