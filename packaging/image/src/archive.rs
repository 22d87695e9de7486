//! The archive around an image's one layer.

use std::io;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::Layer;

/// An image in a file.
pub struct Archive<'a> {
    /// The image's name in full: registry, repository and tag.
    pub name: &'a str,
    /// As the OCI spells it: `amd64`, `arm64`.
    pub architecture: &'a str,
    /// The `config` of the OCI image configuration: environment, command, user, labels.
    pub config: Value,
    /// The files.
    pub layer: Layer,
}

impl Archive<'_> {
    /// The archive, not compressed: what it holds is one program that hardly shrinks on the way.
    ///
    /// # Errors
    /// None that memory can have.
    pub fn into_bytes(self) -> io::Result<Vec<u8>> {
        let layer = self.layer.into_bytes()?;
        let config = json!({
            "architecture": self.architecture,
            "os": "linux",
            "config": self.config,
            "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
        });
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("config.v1+json", &config),
            "layers": [descriptor("layer.v1.tar", &layer)],
        });
        let manifest = manifest.to_string().into_bytes();
        let mut entry = descriptor("manifest.v1+json", &manifest);
        entry["platform"] = json!({ "architecture": self.architecture, "os": "linux" });
        entry["annotations"] = json!({
            "io.containerd.image.name": self.name,
            "org.opencontainers.image.ref.name": tag(self.name),
        });
        let index = json!({ "schemaVersion": 2, "manifests": [entry] });
        // Docker knows its own registry by no name.
        let short = self.name.trim_start_matches("docker.io/");
        let docker = json!([
            { "Config": blob(&config), "RepoTags": [short], "Layers": [blob(&layer)] }
        ]);

        let mut archive = Layer::default();
        archive.file("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        archive.file("index.json", 0o644, index.to_string().as_bytes())?;
        archive.file("manifest.json", 0o644, docker.to_string().as_bytes())?;
        for bytes in [&config, &manifest, &layer] {
            archive.file(&blob(bytes), 0o644, bytes)?;
        }
        archive.into_bytes()
    }
}

fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    json!({
        "mediaType": format!("application/vnd.oci.image.{kind}"),
        "digest": digest(bytes),
        "size": bytes.len(),
    })
}

fn tag(name: &str) -> &str {
    name.rsplit_once(':').map_or("latest", |(_, tag)| tag)
}

fn blob(bytes: &[u8]) -> String {
    format!("blobs/{}", digest(bytes).replacen(':', "/", 1))
}

fn digest(bytes: &[u8]) -> String {
    let sum = Sha256::digest(bytes);
    let digits: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Vec<u8> {
        let mut layer = Layer::default();
        layer.folder("etc", 0o755, 0).unwrap();
        layer.file("etc/name", 0o644, b"kpexec").unwrap();
        let archive = Archive {
            name: "docker.io/kpexec/small:1",
            architecture: "arm64",
            config: json!({ "Cmd": ["/small"] }),
            layer,
        };
        archive.into_bytes().unwrap()
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        assert_eq!(archive(), archive());
    }

    #[test]
    fn every_file_is_of_1970_and_roots() {
        for entry in tar::Archive::new(&archive()[..]).entries().unwrap() {
            let header = entry.unwrap().header().clone();
            assert_eq!((header.mtime().unwrap(), header.uid().unwrap()), (0, 0));
        }
    }

    #[test]
    fn what_is_named_is_there() {
        let bytes = archive();
        let mut archive = tar::Archive::new(&bytes[..]);
        let files = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            io::Read::read_to_end(&mut entry, &mut content).unwrap();
            (entry.path().unwrap().display().to_string(), content)
        });
        let files: std::collections::BTreeMap<_, _> = files.collect();
        let read = |path: &str| -> Value { serde_json::from_slice(&files[path]).unwrap() };
        let follow = |entry: &Value| blob(&files[&path_of(entry)]);
        fn path_of(entry: &Value) -> String {
            let digest = entry["digest"].as_str().unwrap();
            format!("blobs/{}", digest.replacen(':', "/", 1))
        }

        let entry = &read("index.json")["manifests"][0];
        assert_eq!(follow(entry), path_of(entry));
        assert_eq!(entry["platform"]["architecture"], "arm64");
        let manifest = read(&path_of(entry));
        let config = read(&path_of(&manifest["config"]));
        assert_eq!(
            config["rootfs"]["diff_ids"][0],
            manifest["layers"][0]["digest"]
        );
        assert_eq!(
            follow(&manifest["layers"][0]),
            path_of(&manifest["layers"][0])
        );
        let docker = &read("manifest.json")[0];
        assert_eq!(docker["RepoTags"][0], "kpexec/small:1");
        assert_eq!(docker["Config"], path_of(&manifest["config"]));
    }
}
