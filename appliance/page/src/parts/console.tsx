// A guest's screen, by the noVNC that the appliance serves. Each connection uses a ticket of its own; when
// it is lost, the next one is tried after a pause for as long as the VM runs.
import { useEffect, useRef, useState } from "preact/hooks";
import { post } from "../api/client";
import { t } from "../lib/language";
import { say } from "./basics";

interface Rfb extends EventTarget {
  scaleViewport: boolean;
  resizeSession: boolean;
  focusOnClick: boolean;
  viewOnly: boolean;
  background: string;
  disconnect(): void;
  focus(): void;
  sendCtrlAltDel(): void;
  sendKey(symbol: number, code: string | null, down?: boolean): void;
  clipboardPasteFrom(text: string): void;
}
type RfbClass = new (place: HTMLElement, address: string, options: { shared: boolean }) => Rfb;

const kNovnc = "/novnc/core/rfb.js";
const kShift = 0xffe1, kReturn = 0xff0d;
const kShifted = /[A-Z!"#$%&()*+:<>?@^_{|}~]/;

// Key by key: a guest without guest tools has no clipboard. QEMU presses the keys of a US keyboard, so
// Shift has to be held for shifted characters.
async function type(screen: Rfb, text: string) {
  for (const character of text.slice(0, 4096)) {
    const point = character.codePointAt(0)!;
    const symbol = character === "\n" ? kReturn : point < 0x100 ? point : 0x01000000 | point;
    const shifted = kShifted.test(character);
    if (shifted) screen.sendKey(kShift, "ShiftLeft", true);
    screen.sendKey(symbol, null);
    if (shifted) screen.sendKey(kShift, "ShiftLeft", false);
    await new Promise((resolve) => setTimeout(resolve, 30)); // a guest's keyboard has a small buffer
  }
}

export function Console({ id, machine, tools = true }: { id: string; machine: string; tools?: boolean }) {
  const place = useRef<HTMLDivElement>(null);
  const whole = useRef<HTMLDivElement>(null);
  const screen = useRef<Rfb | null>(null);
  const [standing, setStanding] = useState<"connecting" | "connected" | "lost">("connecting");
  const [problem, setProblem] = useState("");
  useEffect(() => {
    let gone = false, timer = 0, wait = 1000;
    const connect = async () => {
      try {
        const rfb = (await import(kNovnc)) as { default: RfbClass };
        const { ticket } = await post("/api/v1/boots/{boot}/console/ticket", { path: { boot: id } });
        if (gone || !place.current) return;
        const scheme = location.protocol === "https:" ? "wss" : "ws";
        const address = `${scheme}://${location.host}/api/v1/boots/${encodeURIComponent(id)}/console/ws?ticket=${encodeURIComponent(ticket.ticket)}`;
        place.current.replaceChildren();
        const now = new rfb.default(place.current, address, { shared: true });
        now.scaleViewport = true;
        now.focusOnClick = true;
        now.background = "transparent";
        screen.current = now;
        now.addEventListener("connect", () => { wait = 1000; setProblem(""); setStanding("connected"); });
        now.addEventListener("disconnect", () => { screen.current = null; if (!gone) again(""); });
      } catch (error) {
        if (!gone) again((error as Error).message);
      }
    };
    const again = (why: string) => {
      setStanding("lost");
      setProblem(why);
      timer = window.setTimeout(() => void connect(), wait);
      wait = Math.min(wait * 2, 10_000);
    };
    void connect();
    return () => {
      gone = true;
      clearTimeout(timer);
      screen.current?.disconnect();
    };
  }, [id]);
  const paste = async () => {
    try {
      if (screen.current) await type(screen.current, await navigator.clipboard.readText());
      screen.current?.focus();
    } catch {
      say(t("console.clipboard"), "bad");
    }
  };
  const isOn = standing === "connected";
  return (
    <div class={`console ${standing}`} ref={whole}>
      {tools && (
        <div class="console-tools">
          <span role="status" class="console-standing">{t(`console.${standing}`)}{problem && ` ${problem}`}</span>
          <button type="button" class="plain small" disabled={!isOn} onClick={() => { screen.current?.sendCtrlAltDel(); screen.current?.focus(); }}>Ctrl+Alt+Del</button>
          <button type="button" class="plain small" disabled={!isOn} onClick={() => void paste()}>{t("console.paste")}</button>
          <button type="button" class="plain small" disabled={!isOn} onClick={() => void whole.current?.requestFullscreen()}>{t("console.full")}</button>
        </div>
      )}
      <div class="console-screen" ref={place} role="application" aria-label={t("console.label", { machine })} />
    </div>
  );
}
