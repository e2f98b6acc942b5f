// Where the page is. Its address is behind '#', so that names of machines reach no log of a server:
// #/machines/TENANT/NAME?range=week
import { signal } from "@preact/signals";

export interface Place {
  parts: string[];
  query: URLSearchParams;
}

function read(): Place {
  const [path = "", query = ""] = location.hash.replace(/^#/, "").split("?", 2);
  const parts = path.split("/").filter(Boolean).map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
  return { parts, query: new URLSearchParams(query) };
}

export const place = signal<Place>(read());
window.addEventListener("hashchange", () => {
  const before = place.value.parts.join("/");
  place.value = read();
  if (place.value.parts.join("/") !== before) window.scrollTo(0, 0);
});

export function link(parts: (string | number)[], query: Record<string, string | number | undefined | null> = {}): string {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") words.set(name, String(value));
  }
  const text = words.toString();
  return `#/${parts.map((part) => encodeURIComponent(String(part))).join("/")}${text ? `?${text}` : ""}`;
}

export function go(target: string) {
  location.hash = target;
}

// Changes a word of the query without a new entry in the history.
export function setQuery(changes: Record<string, string | undefined>) {
  const query = Object.fromEntries(place.value.query);
  history.replaceState(null, "", link(place.value.parts, { ...query, ...changes }));
  place.value = read();
}
