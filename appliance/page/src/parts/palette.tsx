// Search from anywhere: machines, points at a time, alerts, pages and what can be done.
import { useMemo, useRef, useState } from "preact/hooks";
import { useAnswer } from "../api/use";
import { may } from "../api/session";
import { ago } from "../lib/format";
import { type Key, t } from "../lib/language";
import { go, link } from "../lib/place";
import { tenant } from "../lib/tenant";
import { Dialog } from "./dialog";
import { Icon, type IconName } from "./icons";

interface Hit { id: string; text: string; note: string; icon: IconName; to: string }

const pages: [string, Key, IconName][] = [
  ["#/", "nav.overview", "overview"], ["#/machines", "nav.machines", "machines"], ["#/vms", "nav.vms", "vms"],
  ["#/tests", "nav.tests", "tests"], ["#/jobs", "nav.jobs", "jobs"], ["#/alerts", "nav.alerts", "alerts"],
  ["#/policies", "nav.policies", "policies"], ["#/hosts", "nav.hosts", "hosts"], ["#/storage", "nav.storage", "storage"],
  ["#/reports", "nav.reports", "reports"], ["#/access", "nav.access", "access"], ["#/settings", "nav.settings", "settings"],
  ["#/disaster", "disaster.button", "bolt"], ["#/hosts?enrol=1", "hosts.enrol", "hosts"], ["#/screens", "vms.screens", "vms"],
];

// "web 2026-11-22 08:00": a machine and a time in the viewer's zone.
function timeIn(words: string[]): { rest: string[]; time: Date } | null {
  const day = words.find((each) => /^\d{4}-\d\d-\d\d$/.test(each));
  if (!day) return null;
  const clock = words.find((each) => /^\d{1,2}:\d\d$/.test(each));
  const time = new Date(`${day}T${(clock ?? "23:59").padStart(5, "0")}:59`);
  return Number.isNaN(time.getTime()) ? null : { rest: words.filter((each) => each !== day && each !== clock), time };
}

export function Palette({ close }: { close: () => void }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const list = useRef<HTMLUListElement>(null);
  const overview = useAnswer("/api/v1/overview", { query: { tenant: tenant.value } });
  const hits = useMemo(() => {
    const found: Hit[] = [];
    let words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const when = timeIn(words);
    if (when) words = when.rest;
    const fits = (...of: string[]) => words.every((word) => of.some((each) => each.toLowerCase().includes(word)));
    for (const machine of overview.data?.machines ?? []) {
      if (found.length >= 30) break;
      if (!fits(machine.name, machine.host ?? "", machine.tenant)) continue;
      const base = link(["machines", machine.tenant, machine.name], when ? { at: when.time.toISOString() } : {});
      found.push({
        id: `m-${machine.tenant}-${machine.name}`, icon: "machines", to: base, text: machine.name,
        note: when ? t("search.at", { time: when.time.toLocaleString() }) : machine.latest_point ? t("search.machine", { age: ago(machine.latest_point.time) }) : t("search.machine.none"),
      });
    }
    for (const alert of overview.data?.alerts ?? []) {
      if (found.length >= 40) break;
      if (words.length > 0 && fits(alert.subject, alert.message, alert.kind))
        found.push({ id: `a-${alert.id}`, icon: "alerts", to: link(["alerts"], { id: alert.id }), text: alert.message, note: t("nav.alerts") });
    }
    const ways = pages.filter(([to, key]) => fits(t(key)) && (to !== "#/disaster" || may("vm-start")))
      .map(([to, key, icon]) => ({ id: to, icon, to, text: t(key), note: t("search.page") }));
    return words.length === 0 && !when ? [...ways, ...found.slice(0, 8)] : [...found, ...ways];
  }, [text, overview.data]);
  const chosen = Math.min(at, Math.max(0, hits.length - 1));
  const open = (hit: Hit | undefined) => {
    if (!hit) return;
    close();
    go(hit.to);
  };
  const key = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const next = Math.max(0, Math.min(hits.length - 1, chosen + (event.key === "ArrowDown" ? 1 : -1)));
      setAt(next);
      list.current?.children[next]?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter") {
      event.preventDefault();
      open(hits[chosen]);
    }
  };
  return (
    <Dialog title={t("search.title")} close={close}>
      <div class="palette">
        <input type="search" role="combobox" aria-expanded="true" aria-controls="hits" aria-activedescendant={hits[chosen] ? `hit-${chosen}` : undefined}
          aria-label={t("search.title")} placeholder={t("search.hint")} value={text} autoFocus spellcheck={false}
          onInput={(event) => { setText(event.currentTarget.value); setAt(0); }} onKeyDown={key} />
        <ul id="hits" role="listbox" aria-label={t("search.title")} ref={list}>
          {hits.map((hit, index) => (
            <li key={hit.id} id={`hit-${index}`} role="option" aria-selected={index === chosen} class={index === chosen ? "chosen" : ""}
              onMouseMove={() => setAt(index)} onClick={() => open(hit)}>
              <Icon name={hit.icon} /><span class="hit-text">{hit.text}</span><span class="hit-note">{hit.note}</span>
            </li>
          ))}
        </ul>
        {hits.length === 0 && <p class="note">{t("search.none")}</p>}
      </div>
    </Dialog>
  );
}
