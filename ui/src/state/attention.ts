/*
 * Is anybody looking? What the page asks for by itself, again and again, must not keep a session
 * alive that nobody uses: it stops when the page is hidden or nobody has touched it for a while.
 */
const IDLE_MS = 5 * 60_000;

let touched = Date.now();

for (const event of ['pointerdown', 'pointermove', 'keydown', 'wheel', 'touchstart', 'focus']) {
  addEventListener(event, () => (touched = Date.now()), { passive: true, capture: true });
}

let watchers = 0;

/** A page that is watched without being touched, on a wall, say. Returns how to end that. */
export function watched(): () => void {
  watchers++;
  return () => void watchers--;
}

let held = false;

/** While nobody is logged in below a page that waits for it, nothing asks by itself. */
export function hold(on: boolean): void {
  held = on;
}

export function attentive(idleMs = IDLE_MS): boolean {
  return !held && !document.hidden && (watchers > 0 || Date.now() - touched < idleMs);
}

/**
 * Calls `look` at once and then again and again, `look` itself saying in how many ms; pauses while
 * nobody is attentive, and looks at once when somebody is back. Returns how to end it.
 */
export function repeat(look: (signal: AbortSignal) => Promise<number>): () => void {
  const abort = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let looking = false;

  const step = async () => {
    clearTimeout(timer);
    if (looking || abort.signal.aborted) {
      return;
    }
    let wait = 1000;
    if (attentive()) {
      looking = true;
      wait = await look(abort.signal);
      looking = false;
    }
    if (!abort.signal.aborted) {
      timer = setTimeout(() => void step(), wait);
    }
  };

  document.addEventListener('visibilitychange', () => void step(), { signal: abort.signal });
  for (const event of ['online', 'offline']) {
    addEventListener(event, () => void step(), { signal: abort.signal });
  }
  void step();
  return () => {
    abort.abort();
    clearTimeout(timer);
  };
}
