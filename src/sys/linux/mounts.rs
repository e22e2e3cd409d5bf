//! What is mounted where.

use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

/// File systems of this machine alone: what another one, or a server, could change is not here.
const LOCAL: &[&str] = &[
    "btrfs", "cramfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "iso9660", "ntfs3",
    "ramfs", "romfs", "squashfs", "tmpfs", "udf", "vfat", "xfs", "zfs",
];

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
    let mount = mount.to_string();
    mounts
        .lines()
        .filter(|line| line.split(' ').next() == Some(&mount))
        // Behind the dash, of the file system itself: its kind, its source, its options.
        .filter_map(|line| line.split_once(" - "))
        .any(|(_, file_system)| {
            let mut words = file_system.split(' ');
            let (kind, options) = (words.next(), words.nth(1));
            kind.is_some_and(|kind| LOCAL.contains(&kind))
                && options.is_some_and(|options| options.split(',').any(|word| word == "ro"))
        })
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
    fn a_folder_that_can_be_written_to_is_not() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_unchangeable(folder.path()));
        assert!(!is_unchangeable(Path::new("/nowhere/at/all")));
    }
}
