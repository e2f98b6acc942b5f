// Where points are kept: how full it is, what sharing saves, whether it can be read.
import { post } from "../api/client";
import { useAnswer } from "../api/use";
import { may } from "../api/session";
import { percent, size } from "../lib/format";
import { number, t, word } from "../lib/language";
import { tenant } from "../lib/tenant";
import { Action, Card, CopyCommand, Empty, Facts, Head, Pill, Shown, Time } from "../parts/basics";
import { commandTenant, machineLink } from "../parts/machine-bits";
import { jobStarted } from "../parts/point-actions";
import { useTenant } from "../parts/shell";

export function Storage() {
  const chosen = useTenant();
  const status = useAnswer(may("status-view") ? "/api/v1/status" : null, { query: { tenant: chosen } }, { everyMs: 30_000 });
  const store = useAnswer(chosen ? "/api/v1/store" : null, { query: { tenant: chosen } }, { on: ["job-ended", "point-arrived"] });
  const tenants = useAnswer(may("tenant-view") ? "/api/v1/tenants" : null);
  const disk = status.data?.disk;
  const words = { query: { tenant: chosen } };
  return (
    <>
      <Head title={t("nav.storage")} note={t("storage.note")}>
        {may("store-check") && <Action run={async () => jobStarted((await post("/api/v1/store/check", words, { deep: false })).job)}>{t("storage.check")}</Action>}
        {may("store-compact") && <Action run={async () => jobStarted((await post("/api/v1/store/compact", words)).job)}>{t("storage.compact")}</Action>}
        {chosen && <CopyCommand command={`muletto tenant check${commandTenant(chosen)}`} />}
      </Head>
      {disk && (
        <Card title={t("storage.disk")} note={status.data?.state_directory}>
          <Bar parts={[{ name: t("storage.used"), bytes: disk.size - disk.free, tone: disk.free * 10 < disk.size ? "bad" : "busy" }, { name: t("storage.free"), bytes: disk.free, tone: "" }]} />
          <p class="figure-row"><strong>{size(disk.free)}</strong> {t("storage.of", { size: size(disk.size), share: percent(disk.free, disk.size) })}</p>
        </Card>
      )}
      <Shown asked={store} what="wait.store">
        {(data) => {
          const { standing } = data.store;
          return (
            <Card title={t("storage.store", { tenant: chosen! })} note={<code class="id">{data.store.directory}</code>}>
              <p><Pill tone={standing.state === "ready" ? "good" : standing.state === "read-only" || standing.state === "held" ? "warn" : "bad"}>{word("store", standing.state)}</Pill> {standing.encrypted && <Pill tone="quiet">{t("storage.encrypted")}</Pill>}</p>
              {standing.problem && <div class="trouble" role="alert"><p lang="en">{standing.problem}</p></div>}
              {data.store.logical_size !== undefined && data.store.live_size !== undefined && data.store.pack_size !== undefined && (
                <>
                  <Sharing logical={data.store.logical_size} live={data.store.live_size} pack={data.store.pack_size} />
                  <Facts rows={[
                    [t("storage.logical"), size(data.store.logical_size)],
                    [t("storage.live"), size(data.store.live_size)],
                    [t("storage.packs"), size(data.store.pack_size)],
                    [t("storage.saved"), data.store.pack_size > 0 ? `${number(data.store.logical_size / data.store.pack_size, 1)} : 1` : "–"],
                    [t("column.points"), number(data.store.point_count ?? 0)],
                    [t("storage.chunks"), number(data.store.chunk_count ?? 0)],
                  ]} />
                </>
              )}
              <p class="muted">{data.store.last_check ? <>{t("storage.checked")} <Time value={data.store.last_check.time} />: {data.store.last_check.problem_count === 0 ? t("storage.sound") : <span class="strong-bad" lang="en">{data.store.last_check.first_problem}</span>}</> : t("storage.never-checked")}</p>
            </Card>
          );
        }}
      </Shown>
      <Sizes />
      {(tenants.data?.tenants.length ?? 0) > 1 && (
        <Card title={t("nav.tenant.all")}>
          <ul class="plain rows">
            {tenants.data!.tenants.map((each) => (
              <li key={each.name}><button type="button" class="as-link" onClick={() => { tenant.value = each.name; }}>{each.name}</button><Pill tone={each.store.state === "ready" ? "good" : "bad"}>{word("store", each.store.state)}</Pill><span class="muted small-text">{each.quota === null ? t("storage.no-quota") : t("storage.quota", { size: size(each.quota) })}</span></li>
            ))}
          </ul>
        </Card>
      )}
    </>
  );
}

function Bar({ parts }: { parts: { name: string; bytes: number; tone: string }[] }) {
  const whole = parts.reduce((sum, part) => sum + part.bytes, 0) || 1;
  return (
    <div class="bar-picture" role="img" aria-label={parts.map((part) => `${part.name} ${size(part.bytes)}`).join(", ")}>
      {parts.map((part) => <span key={part.name} class={part.tone} style={{ width: `${(part.bytes / whole) * 100}%` }} title={`${part.name} ${size(part.bytes)}`} />)}
    </div>
  );
}

// What all points would take without sharing, what they share, and what lies on the disk.
function Sharing({ logical, live, pack }: { logical: number; live: number; pack: number }) {
  const most = Math.max(logical, live, pack, 1);
  return (
    <div class="sharing" aria-hidden="true">
      {([["storage.logical", logical, ""], ["storage.live", live, "busy"], ["storage.packs", pack, "good"]] as const).map(([key, bytes, tone]) => (
        <div key={key}><span class="muted small-text">{t(key)}</span><span class={`meter wide ${tone || "quiet"}`}><span style={{ width: `${Math.max(0.5, (bytes / most) * 100)}%` }} /></span></div>
      ))}
    </div>
  );
}

function Sizes() {
  const asked = useAnswer("/api/v1/overview", { query: { tenant: tenant.value } });
  const rows = [...(asked.data?.machines ?? [])].filter((row) => row.latest_point).sort((a, b) => b.size - a.size).slice(0, 15);
  const most = rows[0]?.size || 1;
  return (
    <Card title={t("storage.machines")} note={t("storage.machines.note")}>
      {rows.length === 0 ? <Empty title={t("points.none")} /> : (
        <ul class="plain sizes">
          {rows.map((row) => (
            <li key={`${row.tenant}/${row.name}`}><a href={machineLink(row.tenant, row.name)}>{row.name}</a><span class="meter wide busy" aria-hidden="true"><span style={{ width: `${(row.size / most) * 100}%` }} /></span><span class="number">{size(row.size)}</span></li>
          ))}
        </ul>
      )}
    </Card>
  );
}
