// All machines, to find one.
import { useMemo, useState } from "preact/hooks";
import { useAnswer } from "../api/use";
import { put } from "../api/client";
import { may } from "../api/session";
import { size } from "../lib/format";
import { t } from "../lib/language";
import { tenant } from "../lib/tenant";
import { Action, Card, Empty, Head, Pill, Problems, say, Shown, Text, Time, usePage } from "../parts/basics";
import { machineLink, type OverviewRow, VerdictPill } from "../parts/machine-bits";

export function Machines() {
  const asked = useAnswer("/api/v1/overview", { query: { tenant: tenant.value } }, { calm: ["point-arrived", "job-ended"], everyMs: 60_000 });
  const [filter, setFilter] = useState("");
  return (
    <>
      <Head title={t("nav.machines")} note={t("machines.note")}>
        <Text class="filter" type="search" aria-label={t("list.filter")} placeholder={t("list.filter")} value={filter} set={setFilter} />
      </Head>
      <Shown asked={asked} what="wait.machines">
        {(data) => (
          <>
            <Problems list={data.problems} />
            <List rows={data.machines} filter={filter} reload={asked.reload} />
          </>
        )}
      </Shown>
    </>
  );
}

function List({ rows, filter, reload }: { rows: OverviewRow[]; filter: string; reload: () => void }) {
  const several = useMemo(() => new Set(rows.map((row) => row.tenant)).size > 1, [rows]);
  const found = useMemo(() => {
    const wanted = filter.trim().toLowerCase();
    return rows.filter((row) => `${row.name} ${row.host ?? ""} ${row.tenant}`.toLowerCase().includes(wanted));
  }, [rows, filter]);
  const page = usePage(found, 50);
  if (rows.length === 0) return <Card><Empty title={t("machines.none")}>{t("machines.none.text")} <a href="#/hosts?enrol=1">{t("hosts.enrol")}</a></Empty></Card>;
  if (found.length === 0) return <Card><Empty title={t("list.none")} /></Card>;
  return (
    <Card>
      <div class="scroll" tabIndex={0} role="region" aria-label={t("nav.machines")}>
        <table>
          <thead><tr><th>{t("column.machine")}</th><th>{t("column.host")}</th><th>{t("column.policy")}</th><th>{t("column.newest")}</th><th>{t("column.test")}</th><th class="number">{t("column.points")}</th><th class="number">{t("column.size")}</th></tr></thead>
          <tbody>
            {page.rows.map((row) => (
              <tr key={`${row.tenant}/${row.name}`}>
                <td><a href={machineLink(row.tenant, row.name)}>{row.name}</a>{several && <span class="muted small-text"> {row.tenant}</span>}</td>
                <td>{row.host ?? <span class="muted">–</span>}</td>
                <td>{row.protection.wanted ? row.protection.policy : <Unprotected row={row} reload={reload} />}</td>
                <td>{row.latest_point ? <span class={row.protection.overdue && row.protection.wanted ? "strong-bad" : ""}><Time value={row.latest_point.time} /></span> : <span class="muted">{t("machine.no-point")}</span>}</td>
                <td>{row.newest_test ? <VerdictPill verdict={row.newest_test.verdict} /> : <span class="muted">–</span>}</td>
                <td class="number">{row.point_count}</td>
                <td class="number">{row.latest_point ? size(row.size) : "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {page.more}
    </Card>
  );
}

function Unprotected({ row, reload }: { row: OverviewRow; reload: () => void }) {
  return (
    <span class="inline">
      <Pill tone="warn">{t("machine.unprotected")}</Pill>
      {may("machine-protect") && (
        <Action small run={async () => {
          await put("/api/v1/machines/{name}/protection", { path: { name: row.name }, query: { tenant: row.tenant } }, { wanted: true });
          say(t("machine.protected", { name: row.name }));
          reload();
        }}>{t("action.protect")}</Action>
      )}
    </span>
  );
}
