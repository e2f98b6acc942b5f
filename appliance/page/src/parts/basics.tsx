// Small parts that every page uses.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { signal } from "@preact/signals";
import type { Asked } from "../api/use";
import { Unreachable } from "../api/client";
import { ago, at, fully } from "../lib/format";
import { type Key, t } from "../lib/language";
import { Icon } from "./icons";

export type Tone = "good" | "bad" | "warn" | "quiet" | "busy";

export function Pill({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  return <span class={`pill ${tone}`}>{children}</span>;
}

export function Time({ value, exact }: { value: string; exact?: boolean }) {
  return (
    <time dateTime={value} title={fully(value)}>
      {exact ? at(value) : ago(value)}
    </time>
  );
}

// A heading, and what can be done on this page.
export function Head({ title, note, children, back }: {
  title: ComponentChildren;
  note?: ComponentChildren;
  children?: ComponentChildren;
  back?: { href: string; text: string };
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    const text = heading.current?.textContent;
    document.title = text ? `${text} – Muletto` : "Muletto";
  });
  return (
    <header class="head">
      <div class="head-text">
        {back && <a class="back" href={back.href}>{back.text}</a>}
        <h1 ref={heading}>{title}</h1>
        {note && <p class="note">{note}</p>}
      </div>
      {children && <div class="actions">{children}</div>}
    </header>
  );
}

export function Card({ title, note, actions, children, id }: {
  title?: ComponentChildren;
  note?: ComponentChildren;
  actions?: ComponentChildren;
  children: ComponentChildren;
  id?: string;
}) {
  return (
    <section class="card" id={id}>
      {title && (
        <div class="card-head">
          <div>
            <h2>{title}</h2>
            {note && <p class="note">{note}</p>}
          </div>
          {actions && <div class="actions">{actions}</div>}
        </div>
      )}
      {children}
    </section>
  );
}

// Why there is nothing, and what to do about it.
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <div class="empty-text">{children}</div>}
    </div>
  );
}

export function Trouble({ error, retry }: { error: Error; retry?: () => void }) {
  return (
    <div class="trouble" role="alert">
      <Icon name="warning" />
      <p>{error instanceof Unreachable ? t("error.unreachable") : error.message}</p>
      {retry && <button type="button" class="quiet" onClick={retry}>{t("action.retry")}</button>}
    </div>
  );
}

// What an answer could not determine: an empty list beside it does not mean "none".
export function Problems({ list }: { list: string[] | undefined }) {
  if (!list?.length) return null;
  return (
    <div class="trouble" role="status">
      <Icon name="warning" />
      <ul class="plain">{list.map((each) => <li key={each}>{each}</li>)}</ul>
    </div>
  );
}

// Shows the answer, or what is being fetched, or why it failed.
export function Shown<T>({ asked, what, children }: { asked: Asked<T>; what: Key; children: (data: T) => ComponentChildren }) {
  if (asked.data !== undefined) {
    return <>{asked.error && <Trouble error={asked.error} retry={asked.reload} />}{children(asked.data)}</>;
  }
  if (asked.error) return <Trouble error={asked.error} retry={asked.reload} />;
  return <Waiting what={what} />;
}

export function Waiting({ what }: { what: Key }) {
  return <div class="waiting" role="status"><span class="shimmer" aria-hidden="true" /><span>{t(what)}</span></div>;
}

// A button whose work takes time: it says so, cannot be pressed twice, and shows why it failed.
export function Action({ run, children, tone = "plain", disabled, title, small }: {
  run: () => Promise<unknown>;
  children: ComponentChildren;
  tone?: "plain" | "main" | "danger" | "quiet";
  disabled?: boolean;
  title?: string;
  small?: boolean;
}) {
  const [busy, setBusy] = useState(false);
  const press = async () => {
    setBusy(true);
    try {
      await run();
    } catch (error) {
      say((error as Error).message, "bad");
    } finally {
      setBusy(false);
    }
  };
  return (
    <button type="button" class={`${tone}${small ? " small" : ""}`} disabled={disabled || busy} aria-busy={busy} title={title} onClick={press}>
      {children}
    </button>
  );
}

// ---- messages that go away by themselves, read out by screen readers

interface Saying { id: number; text: ComponentChildren; tone: "good" | "bad" }
const sayings = signal<Saying[]>([]);
let nextSaying = 0;

export function say(text: ComponentChildren, tone: "good" | "bad" = "good") {
  const id = ++nextSaying;
  sayings.value = [...sayings.value.slice(-3), { id, text, tone }];
  setTimeout(() => dismiss(id), tone === "bad" ? 15_000 : 6000);
}

function dismiss(id: number) {
  sayings.value = sayings.value.filter((each) => each.id !== id);
}

export function Sayings() {
  return (
    <div class="sayings" role="status" aria-live="polite">
      {sayings.value.map((each) => (
        <div key={each.id} class={`saying ${each.tone}`}>
          <span>{each.text}</span>
          <button type="button" class="icon-button" aria-label={t("action.dismiss")} onClick={() => dismiss(each.id)}><Icon name="close" /></button>
        </div>
      ))}
    </div>
  );
}

// ---- the same on the command line

export function CopyCommand({ command }: { command: string }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(command);
      setDone(true);
      setTimeout(() => setDone(false), 2000);
    } catch {
      say(command);
    }
  };
  return (
    <button type="button" class="copy" title={command} onClick={copy} aria-label={t("copy.label", { command })}>
      <Icon name="copy" />
      <span aria-live="polite">{done ? t("copy.done") : t("copy.action")}</span>
    </button>
  );
}

export function Field({ label, hint, children }: { label: string; hint?: ComponentChildren; children: ComponentChildren }) {
  return (
    <label class="field">
      <span class="label">{label}</span>
      {children}
      {hint && <span class="hint">{hint}</span>}
    </label>
  );
}

export function Text(props: JSX.IntrinsicElements["input"] & { set: (value: string) => void }) {
  const { set, ...rest } = props;
  return <input type="text" autocomplete="off" spellcheck={false} {...rest} onInput={(event) => set(event.currentTarget.value)} />;
}

export function Facts({ rows }: { rows: (readonly [ComponentChildren, ComponentChildren] | null | false | undefined | "")[] }) {
  return (
    <dl class="facts">
      {rows.map((row) => row && <div key={String(row[0])}><dt>{row[0]}</dt><dd>{row[1]}</dd></div>)}
    </dl>
  );
}

// A part of a longer list, with a way to more of it.
export function usePage<T>(list: T[], length = 50) {
  const [shown, setShown] = useState(length);
  const more = list.length > shown && (
    <button type="button" class="more" onClick={() => setShown(shown + length * 2)}>
      {t("list.more", { count: list.length - shown })}
    </button>
  );
  return { rows: list.slice(0, shown), more };
}
