//! The files of an image.

use std::io;

use tar::{Builder, EntryType, Header};

/// Files of an image, in the order they were added. Everything is of 1970 and owned by root, if
/// nothing else is said.
pub struct Layer(Builder<Vec<u8>>);

impl Default for Layer {
    fn default() -> Self {
        Self(Builder::new(Vec::new()))
    }
}

impl Layer {
    /// Adds a folder of this user and group.
    ///
    /// # Errors
    /// If the path is longer than an archive can hold.
    pub fn folder(&mut self, path: &str, mode: u32, owner: u32) -> io::Result<()> {
        let mut header = header(EntryType::Directory, mode, 0);
        header.set_uid(owner.into());
        header.set_gid(owner.into());
        self.0.append_data(&mut header, path, io::empty())
    }

    /// Adds a file.
    ///
    /// # Errors
    /// As [`Layer::folder`].
    pub fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        let mut header = header(EntryType::Regular, mode, content.len() as u64);
        self.0.append_data(&mut header, path, content)
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// As [`Layer::folder`].
    pub fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        let mut header = header(EntryType::Symlink, 0o777, 0);
        self.0.append_link(&mut header, path, target)
    }

    /// All of it, as a tar archive.
    ///
    /// # Errors
    /// None that memory can have.
    pub fn into_bytes(self) -> io::Result<Vec<u8>> {
        self.0.into_inner()
    }
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}
