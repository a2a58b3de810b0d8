//! Open files: each number has a socket. The kernel's soft limit is often 1,024 for no reason of today.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Below this a server of some hundred numbers gets into trouble.
const FEW: u64 = 4_096;

/// Raises the limit as far as it goes without rights, and says so where that is not far.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let reached = match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files can't be raised");
            limit.current
        }
    };
    if let Some(files) = reached.filter(|files| *files < FEW) {
        tracing::warn!(
            files,
            "few files may be open, and each number needs a socket: raise LimitNOFILE or ulimit -n"
        );
    }
}
