// One look: what needs a person on top, then every machine by urgency.
import { useMemo, useState } from "preact/hooks";
import { useAnswer } from "../api/use";
import { number, t } from "../lib/language";
import { tenant } from "../lib/tenant";
import { Card, Empty, Head, Problems, Shown, Text, usePage } from "../parts/basics";
import { AlertRow } from "../parts/alert-row";
import { Age, machineLink, NewestTest, type OverviewRow, Recovery, Strip, urgency } from "../parts/machine-bits";
import { may } from "../api/session";
import type { Answer } from "../api/client";

type OverviewAnswer = Answer<"/api/v1/overview", "get">;

export function Overview() {
  const asked = useAnswer("/api/v1/overview", { query: { tenant: tenant.value } },
    { on: ["alert-opened", "alert-closed"], calm: ["point-arrived", "job-ended"], everyMs: 60_000 });
  return <Shown asked={asked} what="wait.overview">{(data) => <Look data={data} reload={asked.reload} />}</Shown>;
}

function Look({ data, reload }: { data: OverviewAnswer; reload: () => void }) {
  const waiting = data.alerts.filter((alert) => alert.acknowledged === null);
  const known = data.alerts.filter((alert) => alert.acknowledged !== null);
  const several = new Set(data.machines.map((row) => row.tenant)).size > 1;
  const needs = waiting.length + data.problems.length;
  return (
    <>
      <Head
        title={data.machines.length === 0 && needs === 0 ? t("overview.first") : needs === 0 ? t("overview.well") : t("overview.needs", { count: needs })}
        note={t("overview.counts", {
          machines: t("count.machines", { count: data.machines.length }),
          points: t("count.points", { count: data.machines.reduce((sum, row) => sum + row.point_count, 0) }),
        })}
      />
      <Problems list={data.problems} />
      {waiting.length > 0 && <AlertList alerts={waiting} several={several} reload={reload} />}
      {known.length > 0 && (
        <details class="known">
          <summary>{t("overview.known", { count: known.length })}</summary>
          <AlertList alerts={known} several={several} reload={reload} />
        </details>
      )}
      {data.machines.length === 0 ? <FirstSteps /> : <MachineTable data={data} several={several} />}
    </>
  );
}

function AlertList({ alerts, several, reload }: { alerts: OverviewAnswer["alerts"]; several: boolean; reload: () => void }) {
  const sorted = useMemo(() => [...alerts].sort((a, b) => Number(b.severity === "critical") - Number(a.severity === "critical") || b.id - a.id), [alerts]);
  const { rows, more } = usePage(sorted, 8);
  return (
    <>
      <ul class="alerts" aria-label={t("nav.alerts")}>
        {rows.map((alert) => <AlertRow key={alert.id} alert={alert} severalTenants={several} done={reload} />)}
      </ul>
      {more}
    </>
  );
}

// An appliance that protects nothing yet: the way to a first machine that was test-booted.
function FirstSteps() {
  const hosts = useAnswer(may("host-view") ? "/api/v1/hosts" : null, {}, { everyMs: 5000 });
  const enrolled = (hosts.data?.hosts ?? []).filter((host) => !host.revoked);
  return (
    <Card title={t("first.title")} note={t("first.note")}>
      <ol class="steps">
        <li class={enrolled.length > 0 ? "done" : "now"}>
          <h3>{t("first.enrol")}</h3>
          <p>{enrolled.length > 0 ? t("first.enrol.done", { host: enrolled[0]!.name }) : t("first.enrol.text")}</p>
          {enrolled.length === 0 && <a class="button main" href="#/hosts?enrol=1">{t("hosts.enrol")}</a>}
        </li>
        <li class={enrolled.length > 0 ? "now" : ""}>
          <h3>{t("first.protect")}</h3>
          <p>{t("first.protect.text")}</p>
          {enrolled.length > 0 && <a class="button main" href="#/machines">{t("nav.machines")}</a>}
        </li>
        <li><h3>{t("first.test")}</h3><p>{t("first.test.text")}</p></li>
      </ol>
    </Card>
  );
}

function MachineTable({ data, several }: { data: OverviewAnswer; several: boolean }) {
  const [filter, setFilter] = useState("");
  const sorted = useMemo(() => {
    const scored = data.machines.map((row) => ({ row, score: urgency(row, data.alerts) }));
    scored.sort((a, b) => b.score - a.score || a.row.name.localeCompare(b.row.name));
    return scored.map((each) => each.row);
  }, [data]);
  const found = useMemo(() => {
    const wanted = filter.trim().toLowerCase();
    return wanted ? sorted.filter((row) => `${row.name} ${row.host ?? ""} ${row.tenant}`.toLowerCase().includes(wanted)) : sorted;
  }, [sorted, filter]);
  const { rows, more } = usePage(found, 25);
  return (
    <Card title={t("overview.machines")} note={t("overview.order")}
      actions={data.machines.length > 8 && <Text class="filter" type="search" aria-label={t("list.filter")} placeholder={t("list.filter")} value={filter} set={setFilter} />}>
      <Legend />
      <div class="machine-rows" role="list">
        <div class="machine-row titles" aria-hidden="true">
          <span>{t("column.machine")}</span><span>{t("column.newest")}</span><span>{t("column.test")}</span><span>{t("column.recovery")}</span><span>{t("column.days", { count: number(data.day_count) })}</span>
        </div>
        {rows.map((row) => <MachineRow key={`${row.tenant}/${row.name}`} row={row} several={several} />)}
      </div>
      {found.length === 0 && <Empty title={t("list.none")} />}
      {more}
    </Card>
  );
}

function Legend() {
  return (
    <p class="legend" aria-hidden="true">
      <span><i class="swatch day" />{t("legend.points")}</span><span><i class="swatch gap" />{t("legend.gap")}</span>
      <span><i class="swatch pass" />{t("verdict.pass")}</span><span><i class="swatch fail" />{t("verdict.fail")}</span>
    </p>
  );
}

function MachineRow({ row, several }: { row: OverviewRow; several: boolean }) {
  return (
    <div class="machine-row" role="listitem">
      <div class="machine-name">
        <a href={machineLink(row.tenant, row.name)}>{row.name}</a>
        <span class="muted small-text">{several ? `${row.tenant} · ` : ""}{row.host ?? t("machine.no-host")}</span>
      </div>
      <div class="cell"><span class="cell-title">{t("column.newest")}</span><Age row={row} /></div>
      <div class="cell"><span class="cell-title">{t("column.test")}</span><NewestTest row={row} /></div>
      <div class="cell"><span class="cell-title">{t("column.recovery")}</span><Recovery recovery={row.recovery} /></div>
      <div class="cell"><Strip days={row.days} /></div>
    </div>
  );
}
