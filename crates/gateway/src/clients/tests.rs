//! The guard, against addresses in every spelling, and against servers and names that try to lead
//! elsewhere. The servers are real; "public" is one loopback address that the list opens, "private"
//! another one that it does not.

use super::*;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::routing::any;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

const PUBLIC: &str = "127.0.0.1";
const PRIVATE: &str = "127.0.0.2";

const REFUSED: &[&str] = &[
    // This machine, as a number of one to four parts, decimal, hexadecimal and octal.
    "http://127.0.0.1/",
    "http://127.0.0.1.:80/",
    "http://127.1/",
    "http://127.0.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0X7F000001/",
    "http://0x7f.1/",
    "http://0x7f.0x0.0x0.0x1/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://0177.0x0.0.01/",
    "http://00000177.1/",
    "http://127.255.255.254/",
    "http://127.0.0.53/",
    // Other writings of the same characters.
    "http://%31%32%37.0.0.1/",
    "http://127%2e0%2e0%2e1/",
    "http://１２７.０.０.１/",
    "http://①②⑦.⓪.⓪.①/",
    "http://127。0。0。1/",
    "http:\\\\127.0.0.1\\",
    "http:127.0.0.1",
    "http:////127.0.0.1/",
    "  http://127.0.0.1/  ",
    "http://127.0.\t0.1/",
    "HTTP://127.0.0.1/",
    "http://example.com@127.0.0.1/",
    "http://127.0.0.1#@example.com/",
    "http://127.0.0.1\\@example.com/",
    // Nowhere and this network.
    "http://0.0.0.0/",
    "http://0/",
    "http://0x0/",
    "http://0.1.2.3/",
    // Private networks.
    "http://10.0.0.0/",
    "http://10.255.255.255/",
    "http://0xa.1/",
    "http://167772161/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.0.1/",
    "http://3232235521/",
    "http://0300.0250.1/",
    // Carriers, tests, documentation, benchmarks, relays, multicast, the future.
    "http://100.64.0.1/",
    "http://100.127.255.255/",
    "http://192.0.0.1/",
    "http://192.0.0.192/",
    "http://192.0.2.1/",
    "http://198.51.100.1/",
    "http://203.0.113.1/",
    "http://192.88.99.1/",
    "http://198.18.0.1/",
    "http://198.19.255.255/",
    "http://224.0.0.1/",
    "http://239.255.255.255/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://4294967295/",
    // Metadata of clouds.
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0251.0376.0251.0376/",
    "http://169.254.43518/",
    "http://100.100.100.200/",
    "http://[fd00:ec2::254]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    // IPv6: itself, nothing, mapped, compatible, translated, tunnelled, local, multicast, documentation.
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[0000:0000:0000:0000:0000:0000:0000:0001]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:ffff:10.0.0.1]/",
    "http://[::127.0.0.1]/",
    "http://[::ffff:0:127.0.0.1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b:1::10.0.0.1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:7f00:1::]/",
    "http://[2001:10::1]/",
    "http://[2001:db8::1]/",
    "http://[3fff::1]/",
    "http://[5f00::1]/",
    "http://[100::1]/",
    "http://[fc00::1]/",
    "http://[fe80::1]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
];

const NO_ADDRESS_FOR_HOOKS: &[&str] = &[
    "http://localhost/",
    "http://LOCALHOST/",
    "http://localhost./",
    "http://a.localhost/",
    "http://a.localhost.:8080/",
    "http://ｌocalhost/",
    "http://[fe80::1%25eth0]/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "unix:/run/docker.sock",
    "http://u:p@example.com/",
    "http://user@example.com/",
    "http://",
    "not a url",
];

#[test]
fn private_addresses_are_refused_in_every_spelling() {
    for url in REFUSED.iter().chain(NO_ADDRESS_FOR_HOOKS) {
        assert!(check_url(url, &AllowPrivate::none()).is_err(), "{url}");
    }
    let long = format!("https://example.com/{}", "a".repeat(2048));
    assert!(check_url(&long, &AllowPrivate::none()).is_err());
    for url in [
        "https://example.com/hook",
        "http://93.184.216.34/",
        "http://172.15.0.1/",
        "http://172.32.0.1/",
        "http://100.128.0.1/",
        "http://[2606:4700::1111]/",
        "http://[::ffff:93.184.216.34]/",
    ] {
        assert!(check_url(url, &AllowPrivate::none()).is_ok(), "{url}");
    }
}

#[test]
fn the_operator_can_open_a_network() {
    let lan = AllowPrivate::parse("10.0.0.0/8, hooks.lan:8080, [::1]").expect("a list");
    assert!(check_url("http://10.9.9.9/x", &lan).is_ok());
    assert!(check_url("http://[::1]/x", &lan).is_ok());
    assert!(check_url("http://192.168.0.1/x", &lan).is_err());
    assert!(AllowPrivate::parse("10.0.0.0/33").is_err());
    assert!(check_url("http://127.0.0.1:9/", &AllowPrivate::loopback()).is_ok());
    assert!(check_url("http://localhost:9/", &AllowPrivate::loopback()).is_ok());
}

#[test]
fn a_host_that_is_open_on_one_port_is_closed_on_the_others() {
    let lan = AllowPrivate::parse("hooks.lan:8080").expect("a list");
    assert!(check_url("http://hooks.lan:8080/x", &lan).is_ok());
    assert!(check_url("http://hooks.lan:22/x", &lan).is_err());
    assert!(check_url("http://hooks.lan.:22/x", &lan).is_err());
}

/// Names as a script: each question takes the next answer, the last one stays.
#[derive(Default)]
struct ScriptedNames(Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>);

impl ScriptedNames {
    fn one(name: &str, answers: &[&[&str]]) -> Self {
        let read = |answer: &&[&str]| {
            answer.iter().map(|address| address.parse().expect("an address")).collect()
        };
        let answers = answers.iter().map(read).collect();
        Self(Mutex::new([(name.to_owned(), answers)].into()))
    }
}

impl Resolve for ScriptedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let mut names = self.0.lock().expect("the script");
        let found = names.get_mut(name.as_str()).map(|answers| {
            if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
        });
        Box::pin(async move {
            let found = found.flatten().ok_or("no such name")?;
            Ok(Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
}

/// Two servers on the same port: one that may be called, one that may not.
struct Servers {
    port: u16,
    private_calls: Arc<AtomicUsize>,
    public_calls: Arc<AtomicUsize>,
    _tasks: TaskTracker,
}

type Page = (Arc<AtomicUsize>, Option<(StatusCode, String)>);

async fn page(State((calls, redirect)): State<Page>) -> axum::response::Response {
    calls.fetch_add(1, Ordering::SeqCst);
    // Closed each time, so that each request asks for the name again.
    let answer = axum::response::Response::builder().header(header::CONNECTION, "close");
    let answer = match redirect {
        Some((status, to)) => answer.status(status).header(header::LOCATION, to),
        None => answer,
    };
    answer.body(Body::from("secret")).expect("an answer")
}

impl Servers {
    async fn start(redirect: impl FnOnce(u16) -> Option<(StatusCode, String)>) -> Self {
        let (public, private, port) = two_on_one_port().await;
        let calls = || Arc::new(AtomicUsize::new(0));
        let (public_calls, private_calls, tasks) = (calls(), calls(), TaskTracker::new());
        for (listener, state) in [
            (public, (Arc::clone(&public_calls), redirect(port))),
            (private, (Arc::clone(&private_calls), None)),
        ] {
            let routes = Router::new().fallback(any(page)).with_state(state);
            tasks.spawn(async move { axum::serve(listener, routes).await });
        }
        Self { port, private_calls, public_calls, _tasks: tasks }
    }

    fn calls(&self) -> (usize, usize) {
        let read = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        (read(&self.public_calls), read(&self.private_calls))
    }
}

async fn two_on_one_port() -> (TcpListener, TcpListener, u16) {
    for _ in 0..50 {
        let public = TcpListener::bind((PUBLIC, 0)).await.expect("a port");
        let port = public.local_addr().expect("an address").port();
        if let Ok(private) = TcpListener::bind((PRIVATE, port)).await {
            return (public, private, port);
        }
    }
    panic!("no port is free on both addresses");
}

fn client_with(names: ScriptedNames) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let allow = AllowPrivate::parse(PUBLIC).expect("a list");
    client(GuardedNames { names, allow }, LIMITS).expect("a client")
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let private = |port: u16| format!("http://{PRIVATE}:{port}/");
    let targets: [&dyn Fn(u16) -> String; 6] = [
        &private,
        &|port| format!("http://0x7f000002:{port}/"),
        &|port| format!("http://[::ffff:{PRIVATE}]:{port}/"),
        &|port| format!("//inside.example:{port}/"),
        &|_| "http://169.254.169.254/latest/meta-data/".to_owned(),
        &|_| "file:///etc/passwd".to_owned(),
    ];
    for status in [301, 302, 303, 307, 308] {
        for target in targets {
            let code = StatusCode::from_u16(status).expect("a status");
            let servers = Servers::start(|port| Some((code, target(port)))).await;
            let client = client_with(ScriptedNames::one("inside.example", &[&[PRIVATE]]));
            let url = format!("http://{PUBLIC}:{}/hook", servers.port);
            let answer = client.post(url).body("{}").send().await.expect("an answer");
            assert_eq!(answer.status().as_u16(), status, "{}", target(servers.port));
            assert_eq!(servers.calls(), (1, 0), "{status} {}", target(servers.port));
        }
    }
}

/// What a name leads to at each question, and which of the questions end at the public server.
type Rebinding = (&'static [&'static [&'static str]], &'static [bool]);

const REBINDINGS: [Rebinding; 14] = [
    (&[&[PUBLIC]], &[true, true]),
    (&[&[PRIVATE]], &[false, false]),
    (&[&[PUBLIC], &[PRIVATE]], &[true, false, false]),
    (&[&[PRIVATE], &[PUBLIC]], &[false, true]),
    (&[&[PUBLIC], &[PRIVATE], &[PUBLIC]], &[true, false, true]),
    (&[&[PRIVATE, PUBLIC]], &[true, true]),
    (&[&[PUBLIC, PRIVATE]], &[true, true]),
    (&[&[PUBLIC], &["0.0.0.0"]], &[true, false]),
    (&[&[PUBLIC], &["::1"]], &[true, false]),
    (&[&[PUBLIC], &["::ffff:127.0.0.2"]], &[true, false]),
    (&[&["::ffff:127.0.0.2", "10.0.0.1", "fe80::1"]], &[false]),
    (&[&["64:ff9b::7f00:2", "2002:7f00:2::1"]], &[false]),
    (&[&["169.254.169.254"]], &[false]),
    (&[&["fd00:ec2::254"]], &[false]),
];

#[tokio::test]
async fn a_name_that_changes_its_mind_gets_nothing() {
    for (answers, reached) in REBINDINGS {
        let servers = Servers::start(|_| None).await;
        let client = client_with(ScriptedNames::one("rebind.example", answers));
        for reached in reached {
            let url = format!("http://rebind.example:{}/", servers.port);
            let answer = client.get(url).send().await;
            assert_eq!(answer.is_ok(), *reached, "{answers:?}");
        }
        let public = reached.iter().filter(|reached| **reached).count();
        assert_eq!(servers.calls(), (public, 0), "{answers:?}");
    }
}

#[tokio::test]
async fn of_an_endless_answer_only_the_beginning_is_read() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let endless = move || {
        let counter = Arc::clone(&counter);
        async move {
            Body::from_stream(futures_util::stream::repeat_with(move || {
                counter.fetch_add(1024, Ordering::SeqCst);
                Ok::<_, std::io::Error>(bytes::Bytes::from_static(&[b'x'; 1024]))
            }))
        }
    };
    let listener = TcpListener::bind((PUBLIC, 0)).await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let tasks = TaskTracker::new();
    tasks.spawn(async move { axum::serve(listener, Router::new().fallback(any(endless))).await });
    let client = client_with(ScriptedNames::default());
    let answer = client.get(url).send().await.expect("an answer");
    assert_eq!(beginning(answer, 100).await, vec![b'x'; 100]);
    // What the sockets' buffers hold is sent before the sender notices.
    assert!(sent.load(Ordering::SeqCst) < 64 << 20, "{sent:?}");
}

#[tokio::test]
async fn who_does_not_answer_is_not_waited_for() {
    let listener = TcpListener::bind((PUBLIC, 0)).await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let limits = Limits { answer: Duration::from_millis(100), ..LIMITS };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let allow = AllowPrivate::parse(PUBLIC).expect("a list");
    let client = client(GuardedNames { names: SystemNames, allow }, limits).expect("a client");
    // The connection is accepted by the system; nobody ever reads it.
    let error = client.get(url).send().await.expect_err("no answer");
    assert!(error.is_timeout(), "{error}");
}
