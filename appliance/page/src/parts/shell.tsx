// What surrounds every page: the way to the others, the state of the connection, search.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { connection, lostSince } from "../api/live";
import { useAnswer } from "../api/use";
import { isByCookie, may, person, signOut } from "../api/session";
import { zone, zoneShort } from "../lib/format";
import { type Key, t } from "../lib/language";
import { place } from "../lib/place";
import { tenant } from "../lib/tenant";
import { Sayings } from "./basics";
import { Icon, type IconName } from "./icons";
import { Palette } from "./palette";

const groups: { text: Key; items: { to: string; text: Key; icon: IconName; needs: string }[] }[] = [
  {
    text: "nav.day",
    items: [
      { to: "", text: "nav.overview", icon: "overview", needs: "machine-view" },
      { to: "machines", text: "nav.machines", icon: "machines", needs: "machine-view" },
      { to: "vms", text: "nav.vms", icon: "vms", needs: "vm-view" },
      { to: "tests", text: "nav.tests", icon: "tests", needs: "verification-view" },
      { to: "jobs", text: "nav.jobs", icon: "jobs", needs: "job-view" },
      { to: "alerts", text: "nav.alerts", icon: "alerts", needs: "alert-view" },
    ],
  },
  {
    text: "nav.appliance",
    items: [
      { to: "policies", text: "nav.policies", icon: "policies", needs: "policy-view" },
      { to: "hosts", text: "nav.hosts", icon: "hosts", needs: "host-view" },
      { to: "storage", text: "nav.storage", icon: "storage", needs: "store-view" },
      { to: "reports", text: "nav.reports", icon: "reports", needs: "report-view" },
      { to: "access", text: "nav.access", icon: "access", needs: "token-view" },
      { to: "settings", text: "nav.settings", icon: "settings", needs: "status-view" },
    ],
  },
];

export function Shell({ children }: { children: ComponentChildren }) {
  const [menu, setMenu] = useState(false);
  const [palette, setPalette] = useState(false);
  useEffect(() => {
    const key = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        setPalette(true);
      }
    };
    window.addEventListener("keydown", key);
    return () => window.removeEventListener("keydown", key);
  }, []);
  useEffect(() => setMenu(false), [place.value]);
  return (
    <div class={`shell${menu ? " menu-open" : ""}`}>
      <a class="skip" href="#content" onClick={(event) => { event.preventDefault(); document.getElementById("content")?.focus(); }}>{t("nav.skip")}</a>
      <header class="bar">
        <button type="button" class="icon-button menu-button" aria-label={t("nav.menu")} aria-expanded={menu} onClick={() => setMenu(!menu)}><Icon name={menu ? "close" : "menu"} /></button>
        <a class="mark" href="#/"><img src="/page/icon.svg" alt="" width="24" height="24" /><span>Muletto</span></a>
        <button type="button" class="search-button" onClick={() => setPalette(true)}>
          <Icon name="search" /><span class="search-text">{t("search.open")}</span><kbd>Ctrl K</kbd>
        </button>
        {may("vm-start") && <a class="button disaster" href="#/disaster"><Icon name="bolt" />{t("disaster.button")}</a>}
      </header>
      <nav class="side" aria-label={t("nav.label")}>
        <TenantChoice />
        {groups.map((group) => {
          const items = group.items.filter((item) => may(item.needs));
          return items.length > 0 && (
            <div key={group.text} class="nav-group">
              <p class="nav-title" id={group.text}>{t(group.text)}</p>
              <ul aria-labelledby={group.text}>
                {items.map((item) => {
                  const current = (place.value.parts[0] ?? "") === item.to;
                  return <li key={item.to}><a href={`#/${item.to}`} aria-current={current ? "page" : undefined}><Icon name={item.icon} />{t(item.text)}</a></li>;
                })}
              </ul>
            </div>
          );
        })}
        <div class="side-foot">
          <p class={`live ${connection.value}`}><span class="dot" aria-hidden="true" />{t(`live.${connection.value}`)}</p>
          <p title={zone}>{t("time.zone", { zone: `${zone.replaceAll("_", " ")} (${zoneShort()})` })}</p>
          <button type="button" class="quiet" onClick={() => void signOut()}><Icon name="out" />{t("signout.action")}{person.value?.name ? ` (${person.value.name})` : ""}</button>
          {!isByCookie.value && <p class="note">{t("signin.memory")}</p>}
        </div>
      </nav>
      {menu && <div class="shade" onClick={() => setMenu(false)} />}
      <div class="content">
        <LostBar />
        <main id="content" tabIndex={-1}>{children}</main>
      </div>
      <Sayings />
      {palette && <Palette close={() => setPalette(false)} />}
    </div>
  );
}

function LostBar() {
  const [, tick] = useState(0);
  const since = lostSince.value;
  useEffect(() => {
    if (since === null) return;
    const timer = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, [since]);
  // A connection that is back within two seconds is nobody's trouble.
  if (since === null || Date.now() - since < 2000) return null;
  return (
    <div class="lost" role="alert">
      <Icon name="warning" />
      <span>{t("live.lost.text")}</span>
    </div>
  );
}

function TenantChoice() {
  const tenants = useAnswer(may("tenant-view") ? "/api/v1/tenants" : null);
  const names = tenants.data?.tenants.map((each) => each.name) ?? [];
  if (names.length < 2) return null;
  return (
    <label class="tenant">
      <span class="label">{t("nav.tenant")}</span>
      <select value={tenant.value ?? ""} onChange={(event) => { tenant.value = event.currentTarget.value || undefined; }}>
        <option value="">{t("nav.tenant.all")}</option>
        {names.map((name) => <option key={name} value={name}>{name}</option>)}
      </select>
    </label>
  );
}

// The tenant of pages that are about one: the chosen one, or the only or first one.
export function useTenant(): string | undefined {
  const tenants = useAnswer(may("tenant-view") ? "/api/v1/tenants" : null);
  return tenant.value ?? person.value?.tenant ?? tenants.data?.tenants[0]?.name;
}
