// One thing that is wrong: the reason in words, and the button that mends it.
import { post, put, type Schemas } from "../api/client";
import { may } from "../api/session";
import { t } from "../lib/language";
import { go, link } from "../lib/place";
import { Action, CopyCommand, Pill, say, Time } from "./basics";
import { commandTenant, machineLink } from "./machine-bits";
import { quoted } from "../lib/format";

type Alert = Schemas["Alert"];

const ofMachine = new Set(["machine-overdue", "machine-unprotected", "sync-failing", "timeline-taken", "verification-failed", "verification-overdue", "recovery-slow", "host-changed"]);

function Mend({ alert }: { alert: Alert }) {
  const { tenant, subject } = alert;
  const started = (job: Schemas["Job"]) => {
    say(<a href={link(["jobs", job.id])}>{t("job.started", { id: String(job.id) })}</a>);
  };
  switch (alert.kind) {
    case "machine-overdue":
    case "sync-failing":
      return may("machine-sync") && (
        <>
          <Action tone="main" small run={async () => started((await post("/api/v1/machines/{name}/sync", { path: { name: subject }, query: { tenant } })).job)}>{t("action.sync")}</Action>
          <CopyCommand command={`muletto sync start ${quoted(subject)}${commandTenant(tenant)}`} />
        </>
      );
    case "machine-unprotected":
      return may("machine-protect") && (
        <>
          <Action tone="main" small run={async () => { await put("/api/v1/machines/{name}/protection", { path: { name: subject }, query: { tenant } }, { wanted: true }); say(t("machine.protected", { name: subject })); }}>{t("action.protect")}</Action>
          <CopyCommand command={`muletto machine protect ${quoted(subject)}${commandTenant(tenant)}`} />
        </>
      );
    case "verification-overdue":
      return may("verification-start") && (
        <>
          <Action tone="main" small run={async () => started((await post("/api/v1/verifications", { query: { tenant } }, { point: `${subject}@latest` })).job)}>{t("action.test")}</Action>
          <CopyCommand command={`muletto verify start ${quoted(`${subject}@latest`)}${commandTenant(tenant)}`} />
        </>
      );
    case "verification-failed":
      return may("verification-start") && (
        <>
          <Action tone="main" small run={async () => started((await post("/api/v1/machines/{name}/bisect", { path: { name: subject }, query: { tenant } })).job)}>{t("action.bisect")}</Action>
          <CopyCommand command={`muletto verify bisect ${quoted(subject)}${commandTenant(tenant)}`} />
        </>
      );
    case "host-silent": return <a class="button small" href="#/hosts">{t("nav.hosts")}</a>;
    case "instant-vm-down": return <a class="button small" href="#/vms">{t("nav.vms")}</a>;
    case "store-nearly-full":
    case "store-damaged":
    case "points-damaged":
    case "store-missing": return <a class="button small" href="#/storage">{t("nav.storage")}</a>;
    case "clock-doubtful":
    case "clock-untrusted": return <a class="button small" href="#/settings">{t("nav.settings")}</a>;
    default: return null;
  }
}

export function AlertRow({ alert, severalTenants, done }: { alert: Alert; severalTenants?: boolean; done?: () => void }) {
  const open = alert.closed === null;
  return (
    <li class={`alert ${open ? alert.severity : "closed"}${alert.acknowledged ? " acknowledged" : ""}`} id={`alert-${alert.id}`}>
      <div class="alert-text">
        <p class="alert-what">
          <Pill tone={!open ? "quiet" : alert.severity === "critical" ? "bad" : "warn"}>{open ? t(`severity.${alert.severity}`) : t("alert.closed")}</Pill>
          {ofMachine.has(alert.kind) ? <a class="subject" href={machineLink(alert.tenant, alert.subject)}>{alert.subject}</a> : <span class="subject">{alert.subject}</span>}
          {severalTenants && <span class="muted">{alert.tenant}</span>}
          <span class="muted small-text">{t("alert.since")} <Time value={alert.opened} /></span>
        </p>
        <p class="alert-message" lang="en">{alert.message}</p>
        <p class="alert-advice muted" lang="en">{alert.advice}</p>
      </div>
      {open && (
        <div class="alert-actions">
          <Mend alert={alert} />
          {alert.acknowledged ? (
            <span class="muted small-text">{t("alert.acknowledged")} <Time value={alert.acknowledged} /></span>
          ) : may("alert-acknowledge") && (
            <Action tone="quiet" small run={async () => { await post("/api/v1/alerts/{id}/acknowledge", { path: { id: alert.id } }); say(t("alert.acknowledged.done")); done?.(); }}>{t("action.acknowledge")}</Action>
          )}
        </div>
      )}
    </li>
  );
}

export function openAlert(id: number) {
  go(link(["alerts"], { id }));
}
