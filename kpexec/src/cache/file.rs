//! The file of a cluster: our own, and nobody else's to read or write.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::{Error, Line};
use crate::config::Identity;

/// How large the file grows before it is put in order, in bytes.
const ROOM: u64 = 16 << 20;

/// Adds lines; whether the file is to be put in order.
pub(super) fn append(path: &Path, identity: &Identity, lines: &[Line]) -> Result<bool, Error> {
    make_folder(path)?;
    let mut options = private();
    let mut file = open(options.create(true).append(true), path)?;
    let length = checked(&file, path)?;
    let mut text = String::new();
    if length == 0 {
        text.push_str(&header(identity));
    }
    text.push_str(&written(lines));
    // One write: another run may add lines at the same time.
    file.write_all(text.as_bytes())
        .map_err(Error::io("write", path))?;
    Ok(length + text.len() as u64 > ROOM)
}

/// The lines of a file; none if it is not there. What is no line of ours is left out: a full disk
/// cuts the last one off.
pub(super) fn read(path: &Path) -> Result<Vec<Line>, Error> {
    let file = match open(private().read(true), path) {
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(Vec::new());
        }
        file => file?,
    };
    // A last run may have added to a file that was full already.
    let limit = 2 * ROOM;
    if checked(&file, path)? > limit {
        let path = path.to_owned();
        return Err(Error::Large { path, limit });
    }
    let mut text = Vec::new();
    let read = file.take(limit).read_to_end(&mut text);
    read.map_err(Error::io("read", path))?;
    let lines = text.split(|byte| *byte == b'\n');
    Ok(lines
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect())
}

/// Puts these lines in the place of all others: who reads meanwhile sees the ones or the others.
pub(super) fn replace(path: &Path, identity: &Identity, lines: &[Line]) -> Result<(), Error> {
    let folder = make_folder(path)?;
    let new = folder.join(format!(".{}.new", std::process::id()));
    let written = (|| {
        // One that a run before us of the same number has left.
        let _ = fs::remove_file(&new);
        let mut file = open(private().write(true).create_new(true), &new)?;
        let text = header(identity) + &written(lines);
        file.write_all(text.as_bytes())
            .map_err(Error::io("write", &new))?;
        fs::rename(&new, path).map_err(Error::io("replace", path))
    })();
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// All files of a folder that are ours.
pub(super) fn all(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::io("read", folder))?,
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths
        .filter(|path| path.extension().is_some_and(|it| it == "jsonl"))
        .collect())
}

fn written(lines: &[Line]) -> String {
    let lines = lines
        .iter()
        .filter_map(|line| serde_json::to_string(line).ok());
    lines.map(|line| line + "\n").collect()
}

fn header(identity: &Identity) -> String {
    written(&[Line::Cluster {
        server: identity.server.clone(),
        user: identity.user.clone(),
    }])
}

/// Makes the file's folder, for nobody but us.
fn make_folder(path: &Path) -> Result<PathBuf, Error> {
    let folder = path.parent().unwrap_or(path);
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(folder)
        .map_err(Error::io("make the folder", folder))?;
    let found = fs::symlink_metadata(folder).map_err(Error::io("look at", folder))?;
    believed(&found, folder)?;
    Ok(folder.to_owned())
}

#[cfg(unix)]
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(flags.bits().cast_signed());
    options
}

#[cfg(windows)]
fn private() -> OpenOptions {
    OpenOptions::new()
}

fn open(options: &OpenOptions, path: &Path) -> Result<File, Error> {
    options.open(path).map_err(Error::io("open", path))
}

/// The length of a file that is ours alone.
fn checked(file: &File, path: &Path) -> Result<u64, Error> {
    let found = file.metadata().map_err(Error::io("look at", path))?;
    if !found.is_file() {
        let reason = "it is no file";
        let path = path.to_owned();
        return Err(Error::Foreign { path, reason });
    }
    believed(&found, path)?;
    Ok(found.len())
}

/// Whether nobody else could have written it.
#[cfg(unix)]
fn believed(found: &fs::Metadata, path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt;
    let reason = if found.uid() != rustix::process::geteuid().as_raw() {
        "it is somebody else's"
    } else if found.mode() & 0o022 != 0 {
        "others may write it"
    } else {
        return Ok(());
    };
    Err(Error::Foreign {
        path: path.to_owned(),
        reason,
    })
}

/// A user's own folder is nobody else's there.
#[cfg(not(unix))]
fn believed(_: &fs::Metadata, _: &Path) -> Result<(), Error> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn identity() -> Identity {
        Identity {
            server: "https://a:6443".into(),
            authority: Vec::new(),
            user: "me".into(),
        }
    }

    fn node(name: &str) -> Line {
        Line::Node(super::super::Node {
            name: name.into(),
            addresses: Vec::new(),
            seen: 1,
        })
    }

    fn mode(path: &Path) -> Option<u32> {
        Some(fs::metadata(path).ok()?.permissions().mode() & 0o7777)
    }

    #[test]
    fn lines_are_added_and_replaced_for_nobody_but_us() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("kpexec/clusters/1.jsonl");
        assert_eq!(read(&path).unwrap(), []);
        assert!(!append(&path, &identity(), &[node("a")]).unwrap());
        append(&path, &identity(), &[node("b")]).unwrap();
        let all = read(&path).unwrap();
        assert!(matches!(&all[0], Line::Cluster { user, .. } if user == "me"));
        assert_eq!(all[1..], [node("a"), node("b")]);
        assert_eq!(mode(&path), Some(0o600));
        assert_eq!(mode(path.parent().unwrap()), Some(0o700));
        replace(&path, &identity(), &[node("c")]).unwrap();
        assert_eq!(read(&path).unwrap()[1..], [node("c")]);
        assert_eq!(mode(&path), Some(0o600));
        let folder = path.parent().unwrap();
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
        assert_eq!(super::all(folder).unwrap(), std::slice::from_ref(&path));
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(read(&path).unwrap(), []);
    }

    #[test]
    fn a_broken_line_is_left_out() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("1.jsonl");
        append(&path, &identity(), &[node("a")]).unwrap();
        let mut text = fs::read(&path).unwrap();
        text.extend(b"{\"node\":{\"na\n\xff\n{\"another\":1}\n");
        fs::write(&path, text).unwrap();
        append(&path, &identity(), &[node("b")]).unwrap();
        assert_eq!(read(&path).unwrap()[1..], [node("a"), node("b")]);
    }

    #[test]
    fn what_others_could_have_written_is_not_believed() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("clusters/1.jsonl");
        append(&path, &identity(), &[node("a")]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o622)).unwrap();
        for told in [
            read(&path).unwrap_err(),
            append(&path, &identity(), &[node("b")]).unwrap_err(),
        ] {
            let told = told.to_string();
            assert!(
                told.ends_with("is not believed: others may write it"),
                "{told}"
            );
        }
        let link = path.with_file_name("2.jsonl");
        symlink(&path, &link).unwrap();
        assert!(read(&link).is_err());
        assert!(append(&link, &identity(), &[node("b")]).is_err());
        let folder = path.parent().unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(append(&folder.join("4.jsonl"), &identity(), &[node("b")]).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_pipe_does_not_hold_us_up() {
        let home = tempfile::tempdir().unwrap();
        let pipe = home.path().join("1.jsonl");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let told = read(&pipe).unwrap_err().to_string();
        assert!(told.ends_with("it is no file"), "{told}");
    }

    #[test]
    fn it_is_bounded() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("1.jsonl");
        append(&path, &identity(), &[node("a")]).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(ROOM).unwrap();
        assert!(append(&path, &identity(), &[node("b")]).unwrap());
        file.set_len(2 * ROOM + 1).unwrap();
        assert!(matches!(read(&path), Err(Error::Large { .. })));
    }
}
