// Pictures of screens. They are fetched as the rest of the API is, so that they need no secret in their
// address.
import { useEffect, useState } from "preact/hooks";
import { request } from "../api/client";
import { standing } from "../api/session";

const kept = new Map<string, string>();
const kMostKept = 200;
standing.subscribe((now) => {
  if (now === "signed-in") return;
  for (const url of kept.values()) URL.revokeObjectURL(url);
  kept.clear();
});

async function fetched(target: string, fresh: boolean): Promise<string> {
  const before = kept.get(target);
  if (before && !fresh) return before;
  const url = URL.createObjectURL(await (await request("GET", target)).blob());
  if (before) setTimeout(() => URL.revokeObjectURL(before), 1000);
  kept.set(target, url);
  if (kept.size > kMostKept) {
    const [oldest, old] = kept.entries().next().value as [string, string];
    URL.revokeObjectURL(old);
    kept.delete(oldest);
  }
  return url;
}

// `everyMs`: a screen that changes.
export function Picture({ target, alt, everyMs }: { target: string; alt: string; everyMs?: number }) {
  const [url, setUrl] = useState(kept.get(target));
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    let gone = false;
    const load = (fresh: boolean) =>
      fetched(target, fresh).then((now) => !gone && (setUrl(now), setFailed(false)), () => !gone && setFailed(true));
    void load(everyMs !== undefined);
    const timer = everyMs ? setInterval(() => document.visibilityState === "visible" && load(true), everyMs) : 0;
    return () => {
      gone = true;
      clearInterval(timer);
    };
  }, [target, everyMs]);
  if (!url) return <span class={`no-picture${failed ? " failed" : ""}`} role="img" aria-label={alt} />;
  return <img class="picture" src={url} alt={alt} loading="lazy" decoding="async" />;
}
