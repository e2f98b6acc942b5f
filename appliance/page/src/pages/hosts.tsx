// Production servers with an agent: who is there, and how another one joins.
import { useState } from "preact/hooks";
import { post, put, remove, type Schemas } from "../api/client";
import { useAnswer } from "../api/use";
import { may } from "../api/session";
import { quoted, size } from "../lib/format";
import { t } from "../lib/language";
import { go, link, place, setQuery } from "../lib/place";
import { Action, Card, CopyCommand, Empty, Facts, Head, Pill, say, Shown, Time } from "../parts/basics";
import { Confirm, Dialog } from "../parts/dialog";
import { commandTenant, machineLink } from "../parts/machine-bits";
import { useTenant } from "../parts/shell";

const kSilentMs = 180_000;
const isThere = (host: Schemas["Host"]) => host.last_seen !== null && Date.now() - Date.parse(host.last_seen) < kSilentMs;

function Standing({ host }: { host: Schemas["Host"] }) {
  return host.revoked ? <Pill tone="quiet">{t("host.revoked")}</Pill> : isThere(host) ? <Pill tone="good">{t("host.there")}</Pill> : <Pill tone="warn">{t("host.silent")}</Pill>;
}

export function Hosts() {
  const tenant = useTenant();
  const asked = useAnswer("/api/v1/hosts", {}, { everyMs: 5000 });
  const enrolling = place.value.query.get("enrol") === "1";
  return (
    <>
      <Head title={t("nav.hosts")} note={t("hosts.note")}>
        {may("token-create") && <button type="button" class="main" onClick={() => setQuery({ enrol: "1" })}>{t("hosts.enrol")}</button>}
      </Head>
      <Shown asked={asked} what="wait.hosts">
        {(data) => data.hosts.length === 0 ? <Card><Empty title={t("hosts.none")}>{t("hosts.none.text")}</Empty></Card> : (
          <Card>
            <div class="scroll" tabIndex={0} role="region" aria-label={t("nav.hosts")}>
              <table>
                <thead><tr><th>{t("column.host")}</th><th>{t("column.state")}</th><th>{t("host.seen")}</th><th>{t("host.version")}</th><th>{t("host.enrolled")}</th></tr></thead>
                <tbody>{data.hosts.map((host) => (
                  <tr key={host.id}><td><a href={link(["hosts", host.id])}>{host.name}</a> <span class="muted small-text">{host.tenant}</span></td><td><Standing host={host} /></td>
                    <td>{host.last_seen ? <Time value={host.last_seen} /> : <span class="muted">{t("host.never")}</span>}</td><td>{host.version || "–"}</td><td><Time value={host.enrolled} exact /></td></tr>
                ))}</tbody>
              </table>
            </div>
          </Card>
        )}
      </Shown>
      {enrolling && tenant && <Enrol tenant={tenant} known={asked.data?.hosts ?? []} close={() => setQuery({ enrol: undefined })} />}
    </>
  );
}

// The line to paste; it turns green when the host appears.
function Enrol({ tenant, known, close }: { tenant: string; known: Schemas["Host"][]; close: () => void }) {
  const [token, setToken] = useState<Schemas["NewToken"]>();
  const [before, setBefore] = useState<string[]>([]);
  const arrived = token && known.find((host) => !before.includes(host.id) && !host.revoked);
  return (
    <Dialog title={t("hosts.enrol")} close={close}>
      {!token ? (
        <>
          <p>{t("enrol.text")}</p>
          <div class="dialog-actions"><Action tone="main" run={async () => {
            setBefore(known.map((host) => host.id));
            setToken((await post("/api/v1/tokens", { query: { tenant } }, { kind: "enrolment" })).token);
          }}>{t("enrol.make")}</Action></div>
        </>
      ) : (
        <>
          <p>{t("enrol.paste")}</p>
          <pre class={`log command${arrived ? " arrived" : ""}`} tabIndex={0}>{token.command}</pre>
          <p class="muted small-text">{t("enrol.secret")}</p>
          <pre class="log command" tabIndex={0}>{token.token}</pre>
          <div class="inline"><CopyCommand command={token.command ?? ""} />{token.expires && <span class="muted small-text">{t("enrol.until")} <Time value={token.expires} exact /></span>}</div>
          <p class={arrived ? "strong-good" : "muted"} role="status">{arrived ? t("enrol.arrived", { host: arrived.name }) : t("enrol.waiting")}</p>
          {arrived && <div class="dialog-actions"><a class="button main" href={link(["hosts", arrived.id])}>{t("enrol.next")}</a></div>}
        </>
      )}
    </Dialog>
  );
}

export function Host({ id }: { id: string }) {
  const asked = useAnswer("/api/v1/hosts/{host}", { path: { host: id } }, { everyMs: 5000, on: ["point-arrived"] });
  return <Shown asked={asked} what="wait.hosts">{({ host }) => <Sheet host={host} reload={asked.reload} />}</Shown>;
}

function Sheet({ host, reload }: { host: Schemas["HostDetails"]; reload: () => void }) {
  const [asking, setAsking] = useState<"revoke" | "forget" | undefined>();
  const overview = useAnswer(may("machine-view") ? "/api/v1/overview" : null, { query: { tenant: host.tenant } }, { on: ["point-arrived"] });
  const report = host.report;
  return (
    <>
      <Head title={host.name} back={{ href: "#/hosts", text: t("nav.hosts") }} note={<><Standing host={host} /> {host.last_seen && <>{t("host.seen")} <Time value={host.last_seen} /></>}</>}>
        {!host.revoked && may("host-revoke") && <button type="button" class="quiet danger-text" onClick={() => setAsking("revoke")}>{t("host.revoke")}</button>}
        {host.revoked && may("host-forget") && <button type="button" class="quiet danger-text" onClick={() => setAsking("forget")}>{t("host.forget")}</button>}
      </Head>
      {report?.libvirt_problem && <div class="trouble" role="alert"><p lang="en">{report.libvirt_problem}</p></div>}
      <Card title={t("host.machines")} note={host.reported ? <>{t("host.reported")} <Time value={host.reported} /></> : undefined}>
        {!report ? <Empty title={t("host.no-report")}>{t("host.no-report.text")}</Empty> : report.machines.length === 0 ? <Empty title={t("host.no-machines")}>{t("host.no-machines.text")}</Empty> : (
          <ul class="plain rows">
            {report.machines.map((machine) => {
              const row = overview.data?.machines.find((each) => each.name === machine.name);
              return (
                <li key={machine.name}>
                  <a href={machineLink(host.tenant, machine.name)}>{machine.name}</a>
                  <span class="muted small-text">{machine.running === null ? "" : machine.running ? t("host.running") : t("host.off")}</span>
                  {row?.protection.wanted ? <Pill tone="good">{t("machine.protected.pill")}</Pill> : may("machine-protect") && (
                    <Action small tone="main" run={async () => {
                      await put("/api/v1/machines/{name}/protection", { path: { name: machine.name }, query: { tenant: host.tenant } }, { wanted: true });
                      say(t("machine.protected", { name: machine.name }));
                      overview.reload();
                    }}>{t("action.protect")}</Action>
                  )}
                </li>
              );
            })}
          </ul>
        )}
      </Card>
      <Card title={t("point.facts")}>
        <Facts rows={[
          [t("point.id"), <code class="id">{host.id}</code>], [t("host.version"), host.version || "–"], [t("host.enrolled"), <Time value={host.enrolled} exact />],
          [t("host.certificate"), <><code class="id">{host.certificate_serial}</code> <Time value={host.certificate_made} /></>], report && [t("host.scratch"), size(report.scratch_free)],
        ]} />
      </Card>
      {asking === "revoke" && (
        <Confirm title={t("host.revoke")} action={t("host.revoke")} danger name={host.name} close={() => setAsking(undefined)} run={async () => { await post("/api/v1/hosts/{host}/revoke", { path: { host: host.id } }); reload(); }}>
          <p>{t("host.revoke.text")}</p><CopyCommand command={`muletto host revoke ${quoted(host.name)}${commandTenant(host.tenant)}`} />
        </Confirm>
      )}
      {asking === "forget" && (
        <Confirm title={t("host.forget")} action={t("host.forget")} danger name={host.name} close={() => setAsking(undefined)} run={async () => { await remove("/api/v1/hosts/{host}", { path: { host: host.id } }); go("#/hosts"); }}>
          <p>{t("host.forget.text")}</p>
        </Confirm>
      )}
    </>
  );
}
