//! The images that containers are made of: an archive of each that every runtime can load, and
//! its files for runtimes that have no images. Both are made of Debian's busybox-static.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, id};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

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

    /// The image's name in short, for `docker load`.
    fn tag(self) -> &'static str {
        self.name().trim_start_matches("docker.io/")
    }

    /// An archive on the host: an OCI layout and a Docker archive at once.
    pub fn archive(self) -> PathBuf {
        self.cached("tar", |path| {
            let mut layer = tar::Builder::new(Vec::new());
            self.pack(&mut layer)
                .and_then(|()| fs::write(path, layout(self, layer.into_inner()?)?))
        })
    }

    /// Unpacks the image's files into a folder.
    pub fn unpack(self, folder: &Path) {
        let layer = self.cached("layer", |path| {
            let mut layer = tar::Builder::new(File::create(path)?);
            self.pack(&mut layer).and_then(|()| layer.finish())
        });
        let mut archive = tar::Archive::new(File::open(layer).expect("the layer was made"));
        archive.set_preserve_permissions(true);
        archive.set_preserve_ownerships(true);
        archive
            .unpack(folder)
            .unwrap_or_else(|error| panic!("unpack {self:?}: {error}"));
    }

    /// Makes a file once for each version of busybox.
    fn cached(self, kind: &str, make: impl FnOnce(&Path) -> std::io::Result<()>) -> PathBuf {
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

    /// Writes the image's files, always the same bytes.
    fn pack(self, layer: &mut tar::Builder<impl Write>) -> std::io::Result<()> {
        let busybox = fs::read(BUSYBOX)?;
        if self == Self::Static {
            return file(layer, "sleep", 0o755, &busybox);
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
            let mut header = header(tar::EntryType::Directory, mode, 0);
            header.set_uid(owner);
            header.set_gid(owner);
            layer.append_data(&mut header, path, std::io::empty())?;
        }
        let users = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n";
        file(layer, "etc/passwd", 0o644, users.as_bytes())?;
        file(
            layer,
            "etc/group",
            0o644,
            b"root:x:0:\napp:x:1000:\nextra:x:2000:app\n",
        )?;
        file(layer, "bin/busybox", 0o755, &busybox)?;
        let commands = Command::new(BUSYBOX).arg("--list").output()?;
        for command in String::from_utf8_lossy(&commands.stdout)
            .lines()
            .filter(|&it| it != "busybox")
        {
            let mut header = header(tar::EntryType::Symlink, 0o777, 0);
            layer.append_link(&mut header, format!("bin/{command}"), "busybox")?;
        }
        Ok(())
    }
}

/// The archive around the one layer.
fn layout(image: Image, layer: Vec<u8>) -> std::io::Result<Vec<u8>> {
    let diff = digest(&layer);
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "User": if image == Image::App { "app" } else { "" },
            "Cmd": ["/sleep", "1000000"],
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{diff}")] },
    });
    let config = config.to_string().into_bytes();
    let of = |kind: &str, bytes: &[u8]| {
        json!({
            "mediaType": format!("application/vnd.oci.image.{kind}"),
            "digest": format!("sha256:{}", digest(bytes)),
            "size": bytes.len(),
        })
    };
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": of("config.v1+json", &config),
        "layers": [of("layer.v1.tar", &layer)],
    });
    let manifest = manifest.to_string().into_bytes();
    let mut entry = of("manifest.v1+json", &manifest);
    entry["annotations"] = json!({ "io.containerd.image.name": image.name() });
    let index = json!({ "schemaVersion": 2, "manifests": [entry] });
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", digest(bytes));
    let docker: Value =
        json!([{ "Config": blob(&config), "RepoTags": [image.tag()], "Layers": [blob(&layer)] }]);

    let mut archive = tar::Builder::new(Vec::new());
    file(
        &mut archive,
        "oci-layout",
        0o644,
        br#"{"imageLayoutVersion":"1.0.0"}"#,
    )?;
    file(
        &mut archive,
        "index.json",
        0o644,
        index.to_string().as_bytes(),
    )?;
    file(
        &mut archive,
        "manifest.json",
        0o644,
        docker.to_string().as_bytes(),
    )?;
    for bytes in [&config, &manifest, &layer] {
        file(&mut archive, &blob(bytes), 0o644, bytes)?;
    }
    archive.into_inner()
}

fn file(
    archive: &mut tar::Builder<impl Write>,
    path: &str,
    mode: u32,
    content: &[u8],
) -> std::io::Result<()> {
    let mut header = header(tar::EntryType::Regular, mode, content.len() as u64);
    archive.append_data(&mut header, path, content)
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
