// Answers of the API in components: shown at once from memory when they were asked before, asked again
// when an event says that they may have changed.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { address, type Answer, get, type GetPath, Unreachable, type Words } from "./client";
import { listen, type LiveEvent } from "./live";
import { standing } from "./session";

export interface Asked<T> {
  data: T | undefined;
  error: Error | undefined;
  reload: () => void;
}

export interface Options {
  on?: LiveEvent["event"][]; // events after which it is asked again at once
  calm?: LiveEvent["event"][]; // and those after which it is asked again within 20 s: large answers, frequent events
  everyMs?: number; // and how often anyhow, while the page can be seen
}

const kept = new Map<string, unknown>();
const kMostKept = 60;
const kCalmMs = 20_000;
standing.subscribe((now) => {
  if (now !== "signed-in") kept.clear();
});

function keep(target: string, answer: unknown) {
  kept.delete(target);
  kept.set(target, answer);
  if (kept.size > kMostKept) kept.delete(kept.keys().next().value as string);
}

export function useAnswer<P extends GetPath>(path: P | null, words: Words = {}, options: Options = {}): Asked<Answer<P, "get">> {
  const target = path === null ? null : address(path, words);
  const [state, setState] = useState<{ target: string | null; data?: unknown; error?: Error }>({ target: null });
  const latest = useRef(0);
  const reload = useCallback(() => {
    if (target === null) return;
    const turn = ++latest.current;
    get(path as P, words).then(
      (data) => {
        keep(target, data);
        if (turn === latest.current) setState({ target, data });
      },
      (error: Error) => {
        if (turn !== latest.current) return;
        // While the connection is lost, what was seen last is better than nothing; a bar says that it is old.
        setState((before) => (error instanceof Unreachable && before.target === target ? before : { target, error }));
      },
    );
  }, [target]);
  useEffect(() => {
    reload();
    return () => {
      latest.current++;
    };
  }, [reload]);
  const events = (options.on ?? []).join();
  const calm = (options.calm ?? []).join();
  useEffect(() => {
    let timer = 0, due = 0;
    const stop = listen((event) => {
      const isSoon = event === "everything" || events.split(",").includes(event.event);
      if (!isSoon && !calm.split(",").includes(event.event)) return;
      // A burst of events is one question.
      const when = Date.now() + (isSoon ? 250 : kCalmMs);
      if (timer && due <= when) return;
      clearTimeout(timer);
      due = when;
      timer = window.setTimeout(() => {
        timer = 0;
        reload();
      }, when - Date.now());
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [reload, events, calm]);
  useEffect(() => {
    if (!options.everyMs) return;
    const timer = setInterval(() => document.visibilityState === "visible" && reload(), options.everyMs);
    return () => clearInterval(timer);
  }, [reload, options.everyMs]);
  const isCurrent = state.target === target;
  const data = isCurrent && state.data !== undefined ? state.data : target === null ? undefined : kept.get(target);
  return { data: data as Answer<P, "get"> | undefined, error: isCurrent ? state.error : undefined, reload };
}
