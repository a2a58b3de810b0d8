// The stream of a tab, and what is done while there is none.
//
// The server is never silent for long: a stream of which nothing is heard is taken for broken, whatever the browser
// thinks of the line. Without one the page asks for itself every five seconds; when the server is not even reached,
// whether it is back, without end. A tab that nobody looks at for a minute lets go of its connection, of
// which a browser has six for all tabs together.

/** The server says something every 1.5 s. */
const SILENCE = 3500;
const POLL = 5000;
const AGAIN = 200;
const REACH = 1200;
const ASLEEP = 60_000;

const after = (ms) => new Promise((done) => setTimeout(done, ms));

async function probe(delay) {
  await after(delay);
  const answer = await fetch(`/healthz?${delay}`, { cache: "no-store", signal: AbortSignal.timeout(REACH) });
  if (answer.status >= 500) throw new Error("not there");
}

/** Whether the server is there. Asked twice, as the browser may take a connection for alive that is not. */
const reached = () => Promise.any([probe(0), probe(600)]).then(() => true, () => false);

/** Shows what comes, each event by the function of its kind; `look` brings the page up to date without a stream. */
export function follow(address, kinds, look) {
  const offline = document.getElementById("offline");
  let source, heard, late, next, turning, asleep;

  function tell(there) {
    if (!there) {
      late ??= setTimeout(() => (offline.hidden = false), 1500);
      return;
    }
    clearTimeout(late);
    late = undefined;
    offline.hidden = true;
  }

  function open() {
    source?.close();
    heard = Date.now();
    source = new EventSource(address);
    source.onerror = lost;
    for (const [kind, show] of Object.entries({ beat: () => {}, ...kinds })) {
      source.addEventListener(kind, ({ data }) => {
        heard = Date.now();
        clearTimeout(next);
        next = undefined;
        tell(true);
        show(data);
      });
    }
  }

  function lost() {
    source.close();
    if (next === undefined) turn();
  }

  async function turn() {
    if (turning) return;
    turning = true;
    clearTimeout(next);
    const there = await reached();
    tell(there);
    turning = false;
    if (asleep === "now") return;
    if (there) {
      open();
      look();
    }
    next = setTimeout(turn, there ? POLL : AGAIN);
  }

  function sleep() {
    asleep = "now";
    clearTimeout(next);
    source.close();
  }

  function wake() {
    clearTimeout(asleep);
    const slept = asleep === "now";
    asleep = undefined;
    if (slept || next !== undefined) turn();
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) asleep ??= setTimeout(sleep, ASLEEP);
    else wake();
  });
  addEventListener("online", wake);
  setInterval(() => asleep !== "now" && Date.now() - heard > SILENCE && lost(), 500);
  open();
}
