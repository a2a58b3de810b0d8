//! A PostgreSQL server for the tests, from the installed binaries, on a free port.
//!
//! Tests of one run share a server: nextest runs each test in a process of its own, and the first to come
//! starts it under a folder that is named after the runner. A watcher stops it and removes the folder
//! once the runner is gone. PostgreSQL refuses to run as root, so there it runs as `postgres` or `nobody`.
//! Each test has a schema of its own.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::{CommandExt as _, parent_id};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A cluster: a folder with its data, and the port of its server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    folder: PathBuf,
    port: u16,
}

impl Server {
    /// The server that all tests of this run share.
    pub(crate) fn shared() -> Self {
        let runner = parent_id();
        let folder = std::env::temp_dir().join(format!("flowcore-tests-{runner}"));
        fs::create_dir_all(&folder).expect("a folder for PostgreSQL");
        let lock = File::create(folder.join("lock")).expect("a lock file");
        lock.lock().expect("the lock of PostgreSQL's start");
        let port_file = folder.join("port");
        if let Ok(port) = fs::read_to_string(&port_file) {
            return Self { folder, port: port.parse().expect("a port") };
        }
        let server = Self::start(folder);
        server.stop_with(runner);
        fs::write(port_file, server.port.to_string()).expect("written");
        server
    }

    /// Makes a cluster in `folder` and starts its server.
    pub(crate) fn start(folder: PathBuf) -> Self {
        give_away(&folder);
        let server = Self { folder, port: free_port() };
        server.run(
            "initdb",
            &["--no-sync", "--auth=trust", "-U", "flowcore", "-E", "UTF8", "--locale=C"],
        );
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = ''\n\
             fsync = off\nmax_connections = 400\nlog_min_messages = fatal\n",
            server.port
        );
        fs::write(server.data().join("postgresql.auto.conf"), settings).expect("settings");
        server.up();
        server
    }

    /// The same with a server that speaks TLS only, by a certificate for `localhost` that vouches for
    /// itself; where that certificate is.
    pub(crate) fn start_over_tls(folder: PathBuf) -> (Self, PathBuf) {
        let server = Self::start(folder);
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let rcgen::CertifiedKey { cert, signing_key } = made.expect("a certificate");
        let certificate = server.folder.join("server.crt");
        fs::write(&certificate, cert.pem()).expect("written");
        let key = server.data().join("server.key");
        fs::write(&key, signing_key.serialize_pem()).expect("written");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("private");
        give_away(&key);
        let settings = server.data().join("postgresql.auto.conf");
        let mut text = fs::read_to_string(&settings).expect("settings");
        let _ = write!(
            text,
            "ssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'\n",
            certificate.display(),
            key.display()
        );
        fs::write(settings, text).expect("settings");
        let only_tls = "hostssl all all 127.0.0.1/32 trust\n";
        fs::write(server.data().join("pg_hba.conf"), only_tls).expect("written");
        server.crash();
        server.up();
        (server, certificate)
    }

    /// Starts the server of a cluster that was stopped.
    pub(crate) fn up(&self) {
        let log = self.folder.join("log");
        self.run("pg_ctl", &["start", "-w", "-t", "60", "-l", &log.to_string_lossy()]);
    }

    /// Stops the server as a crash would.
    pub(crate) fn crash(&self) {
        self.run("pg_ctl", &["stop", "-m", "immediate", "-w", "-t", "60"]);
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://flowcore@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    /// The address by which its certificate knows it.
    pub(crate) fn url_by_name(&self) -> String {
        format!("postgres://flowcore@localhost:{}/postgres", self.port)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = unprivileged(&binary(program));
        command.arg("-D").arg(self.data()).args(arguments).current_dir(&self.folder);
        // The server lives on: it must not hold the runner's pipes open.
        let errors = self.folder.join(format!("{program}.errors"));
        let output = File::create(&errors).expect("a file");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        let status = command.status().unwrap_or_else(|error| panic!("{program}: {error}"));
        let errors = fs::read_to_string(errors).unwrap_or_default();
        assert!(status.success(), "{program} failed: {errors}");
    }

    /// Stops the server and removes its folder when the process `runner` is gone.
    fn stop_with(&self, runner: u32) {
        let (user, _) = account();
        // As root it has to become the server's user to stop it; only root can remove the folder.
        let stop = if is_root() {
            format!("setpriv --reuid {user} --clear-groups \"$1\"")
        } else {
            "\"$1\"".to_owned()
        };
        let script = format!(
            "(while kill -0 {runner} 2>/dev/null; do sleep 1; done; \
             {stop} stop -D \"$2/data\" -m immediate -w; rm -rf \"$2\") &"
        );
        let mut watcher = Command::new("sh");
        watcher.args(["-c", &script, "watcher"]).arg(binary("pg_ctl")).arg(&self.folder);
        watcher.process_group(0).current_dir("/");
        watcher.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(watcher.status().expect("a shell").success(), "no watcher of the runner");
    }
}

/// A pooler in front of the shared server.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pooling {
    /// A client has a connection until it goes.
    Session,
    /// A client has a connection for each transaction.
    Transaction,
}

impl Pooling {
    /// Starts `PgBouncer`, with its settings as they come, for as long as this run lasts; its URL.
    pub(crate) fn start(self) -> String {
        let server = Server::shared();
        let mode = format!("{self:?}").to_lowercase();
        let folder = server.folder.join(format!("pooler-{}", Uuid::now_v7().simple()));
        fs::create_dir(&folder).expect("a folder for the pooler");
        let port = free_port();
        let settings = folder.join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = users\n\
             pool_mode = {mode}\n",
            server.port
        );
        fs::write(&settings, text).expect("settings");
        fs::write(folder.join("users"), "\"flowcore\" \"\"\n").expect("users");
        give_away(&folder);
        let script = format!(
            "(/usr/sbin/pgbouncer -q pgbouncer.ini & pooler=$!; \
             while [ -d /proc/{} ]; do sleep 1; done; kill $pooler) &",
            parent_id()
        );
        let mut pooler = unprivileged(Path::new("sh"));
        pooler.args(["-c", &script]).current_dir(&folder).process_group(0);
        pooler.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(pooler.status().expect("a shell").success(), "no shell for PgBouncer");
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                Instant::now() < deadline,
                "PgBouncer does not listen: scripts/test installs it"
            );
            thread::yield_now();
        }
        format!("postgres://flowcore@127.0.0.1:{port}/postgres?sslmode=disable")
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Who runs PostgreSQL where we are root: user and group.
fn account() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").expect("the list of users");
    let user = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2).map(str::parse::<u32>);
        Some((ids.next()?.ok()?, ids.next()?.ok()?))
    };
    user("postgres").or_else(|| user("nobody")).expect("a user that is not root")
}

fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new(program);
    if is_root() {
        let (user, group) = account();
        command.uid(user).gid(group);
    }
    command
}

fn give_away(folder: &Path) {
    if is_root() {
        let (user, group) = account();
        chown(folder, Some(user), Some(group)).expect("given to PostgreSQL's user");
    }
}

/// Debian keeps the server's programs out of the path; others have them there.
fn binary(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> =
        versions.map(|version| version.path().join("bin").join(name)).collect();
    files.sort();
    if let Ok(found) = Command::new("sh").args(["-c", &format!("command -v {name}")]).output() {
        files.push(PathBuf::from(String::from_utf8_lossy(&found.stdout).trim()));
    }
    files.into_iter().find(|file| file.is_file()).unwrap_or_else(|| {
        panic!("PostgreSQL's {name} is missing: install postgresql (scripts/test does)")
    })
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}
