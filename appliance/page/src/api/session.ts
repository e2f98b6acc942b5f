// Who is signed in, and how requests prove it. The only file that knows: a session's cookie, which no
// script can read, or a token that stays in memory and is gone with the page.
import { signal } from "@preact/signals";

export interface Person {
  name: string;
  role: string;
  privileges: string[] | null; // null: not known, so everything is offered and the API decides
  tenant: string | null;
}

export type Standing = "asking" | "first-start" | "signed-out" | "signed-in";
export const standing = signal<Standing>("asking");
export const person = signal<Person | null>(null);
export const isByCookie = signal(false);
export const endedElsewhere = signal(false);
// Whether this appliance knows people and sessions; one that does not takes a token.
export const hasSessions = signal(true);

let token: string | null = null;

export function credentials(): Record<string, string> {
  return token === null ? {} : { Authorization: `Bearer ${token}` };
}

export class CodeNeeded extends Error {}

const ask = (method: string, path: string, body?: unknown) =>
  fetch(`/api/v1${path}`, {
    method,
    headers: body === undefined ? credentials() : { ...credentials(), "Content-Type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

function enter(who: Partial<Person>, cookie: boolean) {
  person.value = { name: who.name ?? "", role: who.role ?? "", privileges: who.privileges ?? null, tenant: who.tenant ?? null };
  isByCookie.value = cookie;
  endedElsewhere.value = false;
  standing.value = "signed-in";
}

// Finds out who it is when the page is opened.
export async function begin(): Promise<void> {
  try {
    const current = await ask("GET", "/sessions/current");
    if (current.ok) return enter(((body) => body.session ?? body)(await current.json()), true);
    hasSessions.value = current.status !== 404;
    if (hasSessions.value) {
      const setup = await ask("GET", "/setup");
      if (setup.ok && (await setup.json()).first_start === true) {
        standing.value = "first-start";
        return;
      }
    }
  } catch {
    // The appliance does not answer; the form says so when it is used.
  }
  standing.value = "signed-out";
}

async function refusal(answer: Response): Promise<Error> {
  const body = await answer.json().catch(() => null);
  if (body?.error?.reason === "code-needed") return new CodeNeeded(body.error.message);
  return new Error(body?.error?.message ?? `HTTP ${answer.status}`);
}

export async function signIn(words: { user: string; password: string; code?: string } | { token: string }): Promise<void> {
  const answer = await ask("POST", "/sessions", words);
  if (answer.ok) {
    const current = await ask("GET", "/sessions/current");
    const body = await (current.ok ? current : answer).json();
    return enter(body.session ?? body, true);
  }
  // An appliance without sessions: the token itself is the proof.
  if ((answer.status === 404 || answer.status === 405) && "token" in words) {
    token = words.token.trim();
    const status = await ask("GET", "/status");
    if (status.ok) return enter({}, false);
    token = null;
    throw await refusal(status);
  }
  throw await refusal(answer);
}

export async function makeFirstOwner(code: string, user: string, password: string): Promise<void> {
  const answer = await ask("POST", "/setup", { code, user, password });
  if (!answer.ok) throw await refusal(answer);
  await signIn({ user, password });
}

export async function signOut(): Promise<void> {
  if (isByCookie.value) await ask("DELETE", "/sessions/current").catch(() => undefined);
  forget(false);
}

// The appliance no longer knows this session: it was ended, or it expired.
export function forget(elsewhere: boolean) {
  token = null;
  person.value = null;
  endedElsewhere.value = elsewhere;
  standing.value = "signed-out";
}

export function may(privilege: string): boolean {
  const privileges = person.value?.privileges;
  return privileges == null || privileges.includes(privilege);
}
