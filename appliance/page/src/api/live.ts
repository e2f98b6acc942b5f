// What happens on the appliance, as it happens: one stream of events for the whole page. After a lost
// connection it goes on behind the last event that was seen; if the appliance no longer has that one
// (it was restarted), every list on the page is read again. So nothing is missed.
import { signal } from "@preact/signals";
import { address, ApiError, lines, type Schemas } from "./client";
import { standing } from "./session";

export type LiveEvent = Schemas["Event"];
type Line = Omit<LiveEvent, "event"> & { event: LiveEvent["event"] | "begin" | "alive" | "lost" };
type Listener = (event: LiveEvent | "everything") => void;

export const connection = signal<"connecting" | "live" | "lost">("connecting");
export const lostSince = signal<number | null>(null);

const listeners = new Set<Listener>();
let cursor: number | null = null;
let running: AbortController | null = null;

export function listen(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell(event: LiveEvent | "everything") {
  for (const listener of [...listeners]) listener(event);
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

// A stream that is silent for longer than the appliance's sign of life is a dead connection.
const kSilenceMs = 40_000;

async function follow(stop: AbortController) {
  const attempt = new AbortController();
  stop.signal.addEventListener("abort", () => attempt.abort());
  let timer = setTimeout(() => attempt.abort(), kSilenceMs);
  try {
    const target = address("/api/v1/events/stream", { query: { after: cursor } });
    for await (const line of lines<Line>(target, attempt.signal)) {
      clearTimeout(timer);
      timer = setTimeout(() => attempt.abort(), kSilenceMs);
      const wasLost = connection.value === "lost";
      connection.value = "live";
      lostSince.value = null;
      if (line.event === "lost") {
        cursor = null;
        tell("everything");
        return;
      }
      // What was asked while the connection was lost has no answer yet.
      if (line.event === "begin" && wasLost) tell("everything");
      cursor = line.sequence;
      if (line.event !== "begin" && line.event !== "alive") tell(line as LiveEvent);
    }
  } finally {
    clearTimeout(timer);
  }
}

async function keepFollowing(stop: AbortController) {
  for (let wait = 500; !stop.signal.aborted; wait = Math.min(wait * 1.6, 8000)) {
    try {
      await follow(stop);
      wait = 500;
    } catch (error) {
      if (stop.signal.aborted) return;
      if (error instanceof ApiError && error.status === 404) cursor = null;
      else if (error instanceof ApiError && error.status === 401) return;
    }
    if (stop.signal.aborted) return;
    if (connection.value === "live") wait = 500;
    connection.value = "lost";
    lostSince.value ??= Date.now();
    await pause(wait);
  }
}

standing.subscribe((now) => {
  if (now === "signed-in" && !running) {
    running = new AbortController();
    cursor = null;
    connection.value = "connecting";
    void keepFollowing(running);
  } else if (now !== "signed-in" && running) {
    running.abort();
    running = null;
  }
});

window.addEventListener("online", () => tell("everything"));
