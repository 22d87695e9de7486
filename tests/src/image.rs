//! The images that containers are made of: an archive of each that every runtime can load, and
//! its files for runtimes that have no images. Both are made of Debian's busybox-static.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, id};
use std::sync::{Mutex, PoisonError};

use kpexec_image::{Archive, Layer};
use serde_json::json;

use crate::{Cache, cache};

const BUSYBOX: &str = "/bin/busybox";

/// What a container's files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    /// Busybox with all its commands, and a user `app` with ID 1000.
    Busybox,
    /// The same for user `app`, because the image says so.
    App,
    /// One static program, `/sleep`: no shell, no `/etc`.
    Static,
}

impl Image {
    /// Every image.
    pub const ALL: [Self; 3] = [Self::Busybox, Self::App, Self::Static];

    /// The image's name in full, as containerd wants it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Busybox => "docker.io/kpexec/busybox:1",
            Self::App => "docker.io/kpexec/app:1",
            Self::Static => "docker.io/kpexec/static:1",
        }
    }

    /// An archive on the host: an OCI layout and a Docker archive at once.
    pub fn archive(self) -> PathBuf {
        self.cached("tar", |path| fs::write(path, self.packed()?))
    }

    /// Unpacks the image's files into a folder.
    pub fn unpack(self, folder: &Path) {
        let layer = self.cached("layer", |path| fs::write(path, self.layer()?.into_bytes()?));
        let mut archive = tar::Archive::new(File::open(layer).expect("the layer was made"));
        archive.set_preserve_permissions(true);
        archive.set_preserve_ownerships(true);
        archive
            .unpack(folder)
            .unwrap_or_else(|error| panic!("unpack {self:?}: {error}"));
    }

    /// Makes a file once for each version of busybox.
    fn cached(self, kind: &str, make: impl FnOnce(&Path) -> io::Result<()>) -> PathBuf {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let busybox = fs::metadata(cache::require(Path::new(BUSYBOX))).expect("busybox is there");
        let name = format!("{self:?}-{}-{}.{kind}", busybox.size(), busybox.mtime());
        let path = Cache::here().folder("images").join(name.to_lowercase());
        if !path.exists() {
            let begun = path.with_extension(format!("{kind}.{}", id()));
            make(&begun)
                .and_then(|()| fs::rename(&begun, &path))
                .unwrap_or_else(|error| panic!("make {}: {error}", path.display()));
        }
        path
    }

    /// The image's files, always the same bytes.
    fn layer(self) -> io::Result<Layer> {
        let mut layer = Layer::default();
        let busybox = fs::read(BUSYBOX)?;
        if self == Self::Static {
            layer.file("sleep", 0o755, &busybox)?;
            return Ok(layer);
        }
        for (path, mode, owner) in [
            ("bin", 0o755, 0),
            ("dev", 0o755, 0),
            ("etc", 0o755, 0),
            ("home", 0o755, 0),
            ("home/app", 0o755, 1000),
            ("proc", 0o755, 0),
            ("root", 0o700, 0),
            ("sys", 0o755, 0),
            ("tmp", 0o1777, 0),
        ] {
            layer.folder(path, mode, owner)?;
        }
        let users = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n";
        layer.file("etc/passwd", 0o644, users.as_bytes())?;
        let groups = "root:x:0:\napp:x:1000:\nextra:x:2000:app\n";
        layer.file("etc/group", 0o644, groups.as_bytes())?;
        layer.file("bin/busybox", 0o755, &busybox)?;
        let commands = Command::new(BUSYBOX).arg("--list").output()?;
        for command in String::from_utf8_lossy(&commands.stdout)
            .lines()
            .filter(|&it| it != "busybox")
        {
            layer.link(&format!("bin/{command}"), "busybox")?;
        }
        Ok(layer)
    }

    fn packed(self) -> io::Result<Vec<u8>> {
        let archive = Archive {
            name: self.name(),
            architecture: "amd64",
            config: json!({
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                "User": if self == Self::App { "app" } else { "" },
                "Cmd": ["/sleep", "1000000"],
            }),
            layer: self.layer()?,
        };
        archive.into_bytes()
    }
}
