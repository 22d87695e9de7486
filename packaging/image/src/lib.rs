//! Container images from files: the same files give the same bytes, on any machine, at any time.
//!
//! An [`Archive`] is an OCI image layout and a Docker archive at once, so `ctr images import`,
//! `podman load`, `skopeo copy oci-archive:` and `docker load` all take it.

mod archive;
mod layer;
pub mod nodepause;

pub use archive::Archive;
pub use layer::Layer;
