//! What is not the runner's stays as it is, whatever scripts do with links, mounts and folders.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::harness::{Ran, Test};
use crate::privileges::{as_a_user, with_mounts};

/// What is below a folder: mode, number and bytes of each.
type Shape = BTreeMap<String, (u32, u64, Vec<u8>)>;

fn shape(folder: &Path) -> Shape {
    let mut all = BTreeMap::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(path) = todo.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let bytes = fs::read(&path).unwrap_or_default();
        let name = path.to_str().unwrap().to_owned();
        all.insert(name, (metadata.mode(), metadata.ino(), bytes));
        if metadata.is_dir() {
            let inside = fs::read_dir(&path).unwrap();
            todo.extend(inside.map(|entry| entry.unwrap().path()));
        }
    }
    all
}

/// A folder `data` with files that are somebody else's, and a pipeline of three tasks, one after
/// the other, that each run this script with the folder as `$DATA`.
struct Outside {
    test: Test,
    before: Shape,
}

impl Outside {
    fn new(script: &str) -> Self {
        let test = Test::in_memory();
        test.write("data/small", "of somebody else");
        test.write("data/large", vec![7; 9 << 20]);
        test.write("data/folder/tmp/file", "deep");
        test.write("data/out/file", "not an output");
        test.write("data/input", "not an input");
        for (name, mode) in [("small", 0o640), ("large", 0o664), ("out/file", 0o600)] {
            let path = test.path("data").join(name);
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        test.manifest(&format!(
            "[[step]]\nname = 'begin'\nstart = true\n\
             script = 'for i in 1 2 3; do echo $i > $OUTPUT_DIR/${{i}}_act; done'\n\
             [[step]]\nname = 'act'\nenv = {{ DATA = '{}' }}\nscript = '''\n{script}\n'''\n",
            test.path("data").display()
        ));
        let before = shape(&test.path("data"));
        Self { test, before }
    }

    fn run(&self) -> Ran {
        self.test.run(["-run", "-parallel", "1"])
    }

    /// Fails unless all outside is as it was.
    fn is_unharmed(&self, script: &str) {
        let now = shape(&self.test.path("data"));
        for (path, was) in &self.before {
            assert!(now.get(path) == Some(was), "{script}: {path} is another");
        }
        assert_eq!(now.len(), self.before.len(), "{script}: there is more");
        self.test.tally_is_right();
    }
}

#[test]
fn what_an_output_is_another_name_of_is_copied() {
    for name in ["small", "large"] {
        let script = format!("ln $DATA/{name} $OUTPUT_DIR/x\nln $DATA/{name} $OUTPUT_DIR/y");
        let outside = Outside::new(&script);
        outside.run().exits(0);
        outside.is_unharmed(&script);
        let path = outside.test.path("data").join(name);
        let bytes = fs::read(&path).unwrap();
        assert_eq!(outside.test.finals()["x"].len(), 3);
        assert!(outside.test.finals()["x"].iter().all(|x| *x == bytes));
        let of_x = "SELECT object_hash FROM task WHERE name = 'x'";
        let object = outside.test.object(&outside.test.rows(of_x)[0]);
        let inode = |path: &Path| fs::metadata(path).unwrap().ino();
        assert_ne!(inode(&object), inode(&path));
        outside.test.objects_are_whole();
        outside.test.nothing_temporary_is_left();
    }
}

#[test]
fn an_input_left_as_an_output_stays_the_tasks_own() {
    let script = "ln $INPUT_FILE $OUTPUT_DIR/x; test -w $INPUT_FILE; echo more >> $INPUT_FILE";
    let outside = Outside::new(script);
    outside.run().exits(0);
    outside.is_unharmed(script);
    let expected = ["1", "2", "3"].map(|n| format!("{n}\nmore\n").into_bytes());
    assert_eq!(outside.test.finals()["x"], expected);
}

#[test]
fn another_folder_in_place_of_the_output_folder_is_refused() {
    for (script, found) in [
        (
            "rmdir $OUTPUT_DIR; ln -s $DATA $OUTPUT_DIR",
            "a symbolic link",
        ),
        (
            "rmdir $OUTPUT_DIR; ln -s $DATA/small $OUTPUT_DIR",
            "a symbolic link",
        ),
        (
            "mv $OUTPUT_DIR $TMPDIR/away; ln -s $DATA $OUTPUT_DIR",
            "a symbolic link",
        ),
        (
            "w=${OUTPUT_DIR%/*}; mv $w $w.old; ln -s $DATA $w",
            "another folder",
        ),
        (
            "w=${OUTPUT_DIR%/*}; mv $w $w.old; mkdir -p $w/out; cp $DATA/small $w/out",
            "another folder",
        ),
        ("rmdir $OUTPUT_DIR; cp $DATA/small $OUTPUT_DIR", "a file"),
        ("rmdir $OUTPUT_DIR; mkfifo $OUTPUT_DIR", "a FIFO"),
        ("rm -rf $OUTPUT_DIR", "nothing"),
        ("rm -rf ${OUTPUT_DIR%/*}", "nothing"),
    ] {
        let outside = Outside::new(script);
        outside
            .run()
            .exits(1)
            .says("3 failed")
            .says(&format!(
                "OUTPUT_DIR is no longer the folder that was made for the task: {found}"
            ))
            .says("hint: let the script change what is in");
        outside.is_unharmed(script);
        assert!(outside.test.finals().is_empty(), "{script}");
        outside.test.nothing_temporary_is_left();
    }
}

#[test]
fn an_output_folder_that_the_script_makes_anew_is_one() {
    for script in [
        "rm -rf $OUTPUT_DIR; mkdir $OUTPUT_DIR; cp $DATA/small $OUTPUT_DIR/x",
        "mkdir $TMPDIR/x; cp $DATA/small $TMPDIR/x; rmdir $OUTPUT_DIR; mv $TMPDIR/x $OUTPUT_DIR; mv $OUTPUT_DIR/small $OUTPUT_DIR/x; chmod 500 $OUTPUT_DIR",
    ] {
        let outside = Outside::new(script);
        outside.run().exits(0);
        outside.is_unharmed(script);
        assert_eq!(outside.test.finals()["x"], [b"of somebody else"; 3]);
        outside.test.nothing_temporary_is_left();
    }
}

#[test]
fn links_in_place_of_what_the_runner_made_are_not_followed() {
    for script in [
        "ln -sf $DATA/small $INPUT_FILE",
        "ln -f $DATA/small $INPUT_FILE",
        "ln -f $DATA/large $INPUT_FILE",
        "rm $INPUT_FILE; mkfifo $INPUT_FILE",
        "rm $INPUT_FILE; ln -s $DATA $INPUT_FILE",
        "rm -rf $TMPDIR; ln -s $DATA/folder $TMPDIR",
        "ln -s $DATA $TMPDIR/link; ln $DATA/small $TMPDIR/hard; ln -s $DATA/small $TMPDIR/file",
        "rm -rf $TMPDIR; ln -s $DATA/folder $TMPDIR; exit 1",
        "rmdir $OUTPUT_DIR; ln -s $DATA $OUTPUT_DIR; exit 1",
        "w=${OUTPUT_DIR%/*}; mv $w $w.old; ln -s $DATA $w; exit 1",
        "w=${OUTPUT_DIR%/*}; mv $w $w.old; ln -s $DATA ${w%-*}-1; exit 1",
        "ln -s $DATA/small ${OUTPUT_DIR%/*/*}/w0-stdout; seq 20000",
        "ln -f $DATA/large ${OUTPUT_DIR%/*/*}/w0-stdout; seq 20000",
        "ln -sf $DATA/small ${OUTPUT_DIR%/*/*}/w0-outputs; seq 5000 | (cd $OUTPUT_DIR; xargs touch)",
    ] {
        let outside = Outside::new(script);
        let ran = outside.run();
        let expected = i32::from(script.ends_with("exit 1"));
        assert_eq!(ran.status, expected, "{script}\n{ran}");
        outside.is_unharmed(script);
        outside.test.objects_are_whole();
        outside.test.nothing_temporary_is_left();
    }
}

#[test]
fn a_log_that_is_replaced_while_it_is_written_is_told() {
    for replace in ["ln -sf $DATA/small $log", "ln -f $DATA/large $log"] {
        let script = format!(
            "log=${{OUTPUT_DIR%/*/*}}/w0-stdout; seq 20000; until test -s $log; do :; done; {replace}"
        );
        let outside = Outside::new(&script);
        let ran = outside.run();
        assert_eq!(ran.status, 1, "{script}\n{ran}");
        ran.says("w0-stdout");
        outside.is_unharmed(&script);
    }
}

#[test]
fn what_is_mounted_in_a_tasks_folders_is_not_emptied() {
    for script in [
        "mkdir $TMPDIR/m; mount --bind $DATA $TMPDIR/m",
        "mkdir -p $TMPDIR/a/b/c; echo x > $TMPDIR/a/x; mount --bind $DATA $TMPDIR/a/b/c",
        "mount --bind $DATA $TMPDIR",
        "mount --bind $DATA $TMPDIR; exit 1",
        "mount --bind $DATA ${OUTPUT_DIR%/*}; exit 1",
        "mount --bind $DATA/small $INPUT_FILE",
        "touch $TMPDIR/f; mount --bind $DATA/small $TMPDIR/f",
    ] {
        let outside = Outside::new(script);
        let Some(ran) = with_mounts(&outside.test, "exec $PROGRAM -run -parallel 1") else {
            return;
        };
        let expected = i32::from(script.ends_with("exit 1"));
        assert_eq!(ran.status, expected, "{script}\n{ran}");
        outside.is_unharmed(script);
        // The mounts are gone with the process: the next run can remove what is left.
        outside
            .test
            .manifest("[[step]]\nname = 'begin'\nstart = true\nscript = ':'");
        outside.test.run(["-run", "-fresh"]).exits(0);
        outside.test.nothing_temporary_is_left();
        outside.is_unharmed(script);
    }
}

#[test]
fn what_is_mounted_as_an_output_is_refused() {
    for (script, error) in [
        (
            "touch $OUTPUT_DIR/x; mount --bind $DATA/small $OUTPUT_DIR/x",
            "output \"x\" is a mount point, not a regular file",
        ),
        (
            "mkdir $OUTPUT_DIR/x; mount --bind $DATA $OUTPUT_DIR/x",
            "output \"x\" is a folder, not a regular file",
        ),
        (
            "mount --bind $DATA/out $OUTPUT_DIR",
            "OUTPUT_DIR is no longer the folder that was made for the task: a mount point",
        ),
    ] {
        let outside = Outside::new(script);
        let Some(ran) = with_mounts(&outside.test, "exec $PROGRAM -run -parallel 1") else {
            return;
        };
        ran.exits(1).says(error);
        outside.is_unharmed(script);
        assert!(outside.test.finals().is_empty(), "{script}");
    }
}

#[test]
fn folders_without_rights_are_the_runners_all_the_same() {
    let test = Test::new();
    test.write("package/bin/tool", "x");
    test.write("package/lib/deep/er", "y");
    test.manifest(
        "[[step]]\nname = 'begin'\nstart = true\n\
         script = 'for i in 1 2 3; do echo $i > $OUTPUT_DIR/${i}_act; done'\n\
         [[step]]\nname = 'act'\nscript = '''\n\
         cp -a package $TMPDIR/copy; mkdir $TMPDIR/none; echo z > $TMPDIR/none/z\n\
         chmod -R a-w $TMPDIR/copy; chmod 0 $TMPDIR/none\n\
         echo out > $OUTPUT_DIR/unreadable; chmod 0 $OUTPUT_DIR/unreadable\n\
         echo out > $OUTPUT_DIR/readonly; chmod 444 $OUTPUT_DIR/readonly\n\
         chmod 555 $OUTPUT_DIR; test $(cat $INPUT_FILE) != 2 || chmod 0 $OUTPUT_DIR\n'''\n",
    );
    let Some(ran) = as_a_user(&test, "exec $PROGRAM -run -parallel 1") else {
        return;
    };
    ran.exits(0).says("6 final outputs");
    assert_eq!(test.finals()["unreadable"], [b"out\n"; 3]);
    test.objects_are_whole();
    test.nothing_temporary_is_left();
}

#[test]
fn an_unreadable_file_with_another_name_stays_so() {
    let test = Test::with(
        "[[step]]\nname = 'only'\nstart = true\n\
         script = 'echo x > $HOME/kept; chmod 0 $HOME/kept; ln $HOME/kept $OUTPUT_DIR/x'\n",
    );
    let Some(ran) = as_a_user(&test, "exec $PROGRAM -run") else {
        return;
    };
    ran.exits(1)
        .says("output \"x\" has mode 0000, so it cannot be read, and another name as well")
        .says("hint: let the script copy the file");
    let kept = fs::metadata(test.path("kept")).unwrap();
    assert_eq!(kept.mode() & 0o7777, 0);
    test.nothing_temporary_is_left();
}
