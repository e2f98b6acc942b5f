// The API, with the types of docs/api/openapi.yaml.
import type { components, paths } from "../../generated/api";
import { credentials, forget, isByCookie } from "./session";

export type Schemas = components["schemas"];
type Method = "get" | "post" | "put" | "delete";
type Operation<P extends keyof paths, M extends Method> = paths[P] extends Record<M, infer O> ? O : never;
type Content<R> = R extends { content: { "application/json": infer B } } ? B : never;
export type Answer<P extends keyof paths, M extends Method> =
  Operation<P, M> extends { responses: infer R } ? Content<R[keyof R & (200 | 201 | 202)]> : never;
export type Body<P extends keyof paths, M extends Method> =
  Operation<P, M> extends { requestBody?: infer R } ? Content<NonNullable<R>> : never;
type PathsOf<M extends Method> = { [P in keyof paths]: Operation<P, M> extends never ? never : P }[keyof paths];
export type GetPath = PathsOf<"get">;

export interface Words {
  path?: Record<string, string | number>;
  query?: Record<string, string | number | boolean | undefined | null>;
}

export class ApiError extends Error {
  constructor(readonly status: number, readonly code: string, message: string) {
    super(message);
  }
}

// The appliance cannot be reached at all.
export class Unreachable extends Error {}

export function address(path: string, words: Words = {}): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, word: string) => encodeURIComponent(String(words.path?.[word] ?? "")));
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(words.query ?? {})) {
    if (value !== undefined && value !== null && value !== "") query.set(name, String(value));
  }
  const text = query.toString();
  return text ? `${filled}?${text}` : filled;
}

export async function request(method: string, target: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(target, {
      method,
      headers: body === undefined ? credentials() : { ...credentials(), "Content-Type": "application/json" },
      cache: "no-store",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Unreachable("the appliance does not answer");
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => null);
  if (answer.status === 401) forget(true);
  throw new ApiError(answer.status, said?.error?.code ?? "io", said?.error?.message ?? `HTTP ${answer.status}`);
}

export async function get<P extends GetPath>(path: P, words?: Words, signal?: AbortSignal): Promise<Answer<P, "get">> {
  return (await request("GET", address(path, words), undefined, signal)).json();
}

export async function post<P extends PathsOf<"post">>(path: P, words: Words, body?: Body<P, "post">): Promise<Answer<P, "post">> {
  return (await request("POST", address(path, words), body ?? {})).json();
}

export async function put<P extends PathsOf<"put">>(path: P, words: Words, body?: Body<P, "put">): Promise<Answer<P, "put">> {
  return (await request("PUT", address(path, words), body ?? {})).json();
}

export async function remove<P extends PathsOf<"delete">>(path: P, words: Words): Promise<Answer<P, "delete">> {
  return (await request("DELETE", address(path, words))).json();
}

// Lines of JSON, as they arrive.
export async function* lines<T>(target: string, signal: AbortSignal): AsyncGenerator<T> {
  const answer = await request("GET", target, undefined, signal);
  if (!answer.body) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    pending += value;
    for (let end = pending.indexOf("\n"); end >= 0; end = pending.indexOf("\n")) {
      const line = pending.slice(0, end).trim();
      pending = pending.slice(end + 1);
      if (line) yield JSON.parse(line) as T;
    }
  }
}

// Hands a file to the browser. With a session's cookie the browser fetches it by itself, whatever its
// size; with a token it has to pass through memory.
export async function download(target: string, name: string): Promise<void> {
  let link = target;
  if (!isByCookie.value) link = URL.createObjectURL(await (await request("GET", target)).blob());
  const anchor = document.createElement("a");
  anchor.href = link;
  anchor.download = name.split(/[\\/]/).pop() || "download";
  anchor.click();
  if (link !== target) setTimeout(() => URL.revokeObjectURL(link), 60_000);
}
