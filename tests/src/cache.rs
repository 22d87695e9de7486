//! Where the parts of a node are: programs that `make setup` installed or built.

use std::env;
use std::path::{Path, PathBuf};

/// The folder outside the checkout that holds what is slow to make.
///
/// `$KPEXEC_CACHE`, else `$XDG_CACHE_HOME/kpexec`, else `~/.cache/kpexec`, as in `setup.sh`.
#[derive(Clone, Debug)]
pub struct Cache(PathBuf);

impl Cache {
    /// The cache of this user.
    pub fn here() -> Self {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty());
        let path = set("KPEXEC_CACHE").map(PathBuf::from).unwrap_or_else(|| {
            set("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .or_else(|| set("HOME").map(|home| Path::new(&home).join(".cache")))
                .expect("one of KPEXEC_CACHE, XDG_CACHE_HOME and HOME is set")
                .join("kpexec")
        });
        Self(path)
    }

    /// A folder in the cache, made if it is not there.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(&path)
            .unwrap_or_else(|error| panic!("make {}: {error}", path.display()));
        path
    }

    /// The folder with the commands of a part that setup built, such as `containerd`.
    ///
    /// # Panics
    /// If the version that is pinned in the part's `go.mod` has not been built.
    pub fn part(&self, part: &str, module: &str) -> PathBuf {
        let pins = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("parts")
            .join(part)
            .join("go.mod");
        let text = std::fs::read_to_string(&pins).expect("the pinned versions can be read");
        let version = text
            .lines()
            .map(|line| line.trim_start_matches("require ").trim())
            .find_map(|line| line.strip_prefix(module)?.strip_prefix(" v"))
            .and_then(|rest| rest.split_whitespace().next())
            .unwrap_or_else(|| panic!("{} pins no {module}", pins.display()));
        let folder = self.0.join("bin").join(format!("{part}-{version}"));
        require(&folder.join(".complete"));
        folder
    }

    /// The folder with a kernel that setup unpacked, such as `6.1`: `vmlinuz` and `overlay.ko`.
    ///
    /// # Panics
    /// If it is not there.
    pub fn kernel(&self, series: &str) -> PathBuf {
        let folder = self.0.join("kernels").join(series);
        require(&folder.join(".complete"));
        folder
    }
}

/// The cnsenter under test: `$CNSENTER`, else what `make build` made.
///
/// # Panics
/// If there is none.
pub fn cnsenter() -> PathBuf {
    under_test("CNSENTER", "cnsenter")
}

/// The kpexec under test: `$KPEXEC`, else what `make build` made.
///
/// # Panics
/// If there is none.
pub fn kpexec() -> PathBuf {
    under_test("KPEXEC", "kpexec")
}

fn under_test(variable: &str, name: &str) -> PathBuf {
    if let Some(path) = env::var_os(variable) {
        return require(Path::new(&path));
    }
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(target_folder, PathBuf::from);
    require(&target.join("x86_64-unknown-linux-musl/release").join(name))
}

/// The folder that cargo builds into, judged by where this program is.
fn target_folder() -> PathBuf {
    let exe = env::current_exe().expect("a program has a path");
    exe.ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").exists())
        .unwrap_or_else(|| panic!("no target folder above {}", exe.display()))
        .to_path_buf()
}

/// The program of this crate that plays the node's parts; see [`crate::node`].
pub(crate) fn helper() -> PathBuf {
    let exe = env::current_exe().expect("a program has a path");
    let folders = exe.ancestors().skip(1).take(2);
    folders
        .map(|folder| folder.join("kpexec-node"))
        .find(|path| path.exists())
        .unwrap_or_else(|| {
            panic!(
                "no kpexec-node beside {}; run `cargo build -p kpexec-tests`",
                exe.display()
            )
        })
}

/// Gives the path back if something is there.
///
/// # Panics
/// With what to do, if nothing is: a missing part fails a test, it never skips it.
pub(crate) fn require(path: &Path) -> PathBuf {
    assert!(
        path.exists(),
        "{} is missing: run `make setup build` as root, then the tests again",
        path.display()
    );
    path.to_path_buf()
}
