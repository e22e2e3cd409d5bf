//! What is mounted where.

use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

/// File systems of this machine alone: what another one, or a server, could change is not here.
const LOCAL: &[&str] = &[
    "btrfs", "cramfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "iso9660", "ntfs3",
    "ramfs", "romfs", "squashfs", "tmpfs", "udf", "vfat", "xfs", "zfs",
];

/// File systems that other machines may have mounted, too.
const NETWORK: &[&str] = &[
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "glusterfs",
    "gpfs",
    "lustre",
    "nfs",
    "nfs4",
    "ocfs2",
    "orangefs",
    "smb3",
    "smbfs",
    "sshfs",
    "wekafs",
];

/// The kind of the file system that `path` is on, if other machines may have it as well.
pub(crate) fn network(path: &Path) -> Option<String> {
    let found = statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    network_of(&mounts, found.stx_mnt_id).map(str::to_owned)
}

/// The same of the mount with that number.
fn network_of(mounts: &str, mount: u64) -> Option<&str> {
    let (kind, _) = file_system(mounts, mount)?;
    let own = kind.strip_prefix("fuse.").unwrap_or(kind);
    NETWORK.contains(&own).then_some(kind)
}

/// Whether the file system that `path` is on can be written to by nobody on this machine: not
/// only through this mount.
pub(crate) fn is_unchangeable(path: &Path) -> bool {
    let Ok(found) = statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID) else {
        return false;
    };
    found.stx_mask & StatxFlags::MNT_ID.bits() != 0
        && std::fs::read_to_string("/proc/self/mountinfo")
            .is_ok_and(|mounts| is_sealed(&mounts, found.stx_mnt_id))
}

/// The same of the mount with that number, in the words of `/proc/self/mountinfo`.
fn is_sealed(mounts: &str, mount: u64) -> bool {
    file_system(mounts, mount).is_some_and(|(kind, options)| {
        LOCAL.contains(&kind) && options.split(',').any(|word| word == "ro")
    })
}

/// Kind and options of the file system itself that is mounted under that number.
fn file_system(mounts: &str, mount: u64) -> Option<(&str, &str)> {
    let mount = mount.to_string();
    let line = mounts
        .lines()
        .find(|line| line.split(' ').next() == Some(&mount))?;
    // Behind the dash: its kind, its source, its options.
    let (_, own) = line.split_once(" - ")?;
    let mut words = own.split(' ');
    Some((words.next()?, words.nth(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_local_file_system_is_sealed() {
        let mounts = "21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,errors=remount-ro\n\
            22 21 254:0 /srv /mnt/bound ro,relatime shared:1 - ext4 /dev/vda rw\n\
            23 21 7:0 / /mnt/image ro,relatime - squashfs /dev/loop0 ro,errors=continue\n\
            24 21 0:50 / /mnt/a\\040-\\040b ro,relatime - tmpfs none ro,inode64\n\
            25 21 0:51 / /mnt/net ro,relatime - nfs4 server:/x ro,vers=4.2\n";
        let sealed: Vec<u64> = (21..=26)
            .filter(|mount| is_sealed(mounts, *mount))
            .collect();
        assert_eq!(sealed, [23, 24]);
    }

    #[test]
    fn what_other_machines_may_have_is_told_by_its_kind() {
        let mounts = "21 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
            25 21 0:51 / /mnt/net rw,relatime shared:9 - nfs4 server:/x rw,vers=4.2\n\
            26 21 0:52 / /mnt/ssh rw,nosuid - fuse.sshfs host:/x rw,user_id=0\n\
            27 21 0:53 / /mnt/zip rw,nosuid - fuse.mount-zip a.zip rw\n";
        let kinds = [21, 25, 26, 27, 28].map(|mount| network_of(mounts, mount));
        assert_eq!(kinds, [None, Some("nfs4"), Some("fuse.sshfs"), None, None]);
    }

    #[test]
    fn a_folder_that_can_be_written_to_is_not() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_unchangeable(folder.path()));
        assert!(!is_unchangeable(Path::new("/nowhere/at/all")));
    }
}
