// A question in front of the page: the browser's own dialog, which keeps the keyboard inside.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../lib/language";
import { Field, Text, Trouble } from "./basics";
import { Icon } from "./icons";

export function Dialog({ title, close, children, wide }: { title: string; close: () => void; children: ComponentChildren; wide?: boolean }) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog ref={element} class={wide ? "wide" : ""} aria-label={title} onClose={close}
      onClick={(event) => event.target === element.current && close()}>
      <div class="dialog-body">
        <div class="dialog-head">
          <h2>{title}</h2>
          <button type="button" class="icon-button" aria-label={t("action.close")} onClick={close}><Icon name="close" /></button>
        </div>
        {children}
      </div>
    </dialog>
  );
}

// Asks before something is done. `name`: what cannot be undone asks for it to be typed.
export function Confirm({ title, children, action, run, close, name, danger, ready = true }: {
  title: string;
  children: ComponentChildren;
  action: string;
  run: () => Promise<unknown>;
  close: () => void;
  name?: string;
  danger?: boolean;
  ready?: boolean;
}) {
  const [typed, setTyped] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error>();
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await run();
      close();
    } catch (failure) {
      setError(failure as Error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} close={close}>
      <form onSubmit={submit}>
        {children}
        {name && (
          <Field label={t("confirm.type", { name })}>
            <Text value={typed} set={setTyped} />
          </Field>
        )}
        {error && <Trouble error={error} />}
        <div class="dialog-actions">
          <button type="button" class="plain" onClick={close}>{t("action.cancel")}</button>
          <button type="submit" class={danger ? "danger" : "main"} disabled={busy || !ready || (name !== undefined && typed !== name)} aria-busy={busy}>{action}</button>
        </div>
      </form>
    </Dialog>
  );
}
