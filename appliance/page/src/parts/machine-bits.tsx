// What is shown of a machine wherever it appears.
import type { Schemas } from "../api/client";
import { duration, size } from "../lib/format";
import { t, word } from "../lib/language";
import { link } from "../lib/place";
import { Pill, Time, type Tone } from "./basics";
import { Picture } from "./picture";

export type OverviewRow = Schemas["OverviewRow"];
export type Verdict = "pass" | "fail" | "inconclusive";

export const verdictTone: Record<string, Tone> = { pass: "good", fail: "bad", inconclusive: "warn" };

export function VerdictPill({ verdict }: { verdict: string }) {
  return <Pill tone={verdictTone[verdict] ?? "quiet"}>{word("verdict", verdict)}</Pill>;
}

export const commandTenant = (tenant: string) => (tenant === "default" ? "" : ` --tenant ${tenant}`);

// How much a machine needs a person: the larger, the sooner.
export function urgency(row: OverviewRow, alerts: Schemas["Alert"][]): number {
  let sum = 0;
  for (const alert of alerts) {
    if (alert.tenant === row.tenant && alert.subject === row.name)
      sum += (alert.severity === "critical" ? 1000 : 100) / (alert.acknowledged ? 4 : 1);
  }
  if (row.protection.overdue) sum += 500;
  if (row.newest_test?.verdict === "fail") sum += 400;
  if (row.newest_test?.verdict === "inconclusive") sum += 60;
  if (row.protection.failures > 0) sum += 200;
  if (!row.protection.wanted) sum += 50;
  if (!row.latest_point) sum += 40;
  return sum + Math.min(0.9, ageShare(row) / 10);
}

// How much of its allowed age the newest point has used up: 1 is the target.
export function ageShare(row: OverviewRow): number {
  const age = row.protection.age_ms;
  if (age === null || !row.latest_point) return 0;
  const allowed = Date.parse(row.too_old_at) - Date.parse(row.latest_point.time);
  return allowed > 0 ? age / allowed : 9;
}

// The newest point's age against what it may be.
export function Age({ row }: { row: OverviewRow }) {
  const point = row.latest_point;
  if (!point) return <span class="muted">{t("machine.no-point")}</span>;
  const share = ageShare(row);
  const allowed = Date.parse(row.too_old_at) - Date.parse(point.time);
  const tone = !row.protection.wanted ? "quiet" : row.protection.overdue || share >= 1 ? "bad" : share > 0.8 ? "warn" : "good";
  return (
    <div class="age">
      <span class={tone === "bad" ? "strong-bad" : ""}><Time value={point.time} /></span>
      {row.protection.wanted ? (
        <>
          <span class={`meter ${tone}`} aria-hidden="true"><span style={{ width: `${Math.min(100, share * 100)}%` }} /></span>
          <span class="muted small-text">{t("machine.allowed", { time: duration(Math.max(0, allowed)) })}</span>
        </>
      ) : (
        <span class="muted small-text">{t("machine.unprotected")}</span>
      )}
    </div>
  );
}

// Thirty days, the oldest first: a bar for points, a mark for verdicts, a hollow for a day without.
export function Strip({ days }: { days: number[][] }) {
  const oldestFirst = [...days].reverse();
  const gaps = days.filter((day) => day[0] === 0).length;
  const passes = days.reduce((sum, day) => sum + (day[1] ?? 0), 0);
  const fails = days.reduce((sum, day) => sum + (day[2] ?? 0), 0);
  const label = `${t("strip.points", { count: days.length - gaps })}, ${t("strip.tests", { passes, fails })}`;
  return (
    <svg class="strip" viewBox={`0 0 ${days.length * 5} 20`} role="img" aria-label={label} preserveAspectRatio="none">
      <title>{label}</title>
      {oldestFirst.map((day, index) => {
        const [points = 0, pass = 0, fail = 0] = day;
        const verdict = fail > 0 ? "fail" : pass > 0 ? "pass" : "";
        return (
          <g key={index}>
            <rect class={points > 0 ? "day" : "gap"} x={index * 5 + 0.5} y={points > 0 ? 3 : 12} width="4" height={points > 0 ? 17 : 8} rx="1" />
            {verdict && <rect class={verdict} x={index * 5 + 0.5} y="0" width="4" height="4" rx="1" />}
          </g>
        );
      })}
    </svg>
  );
}

export function Recovery({ recovery }: { recovery: Schemas["Recovery"] }) {
  if (recovery.count === 0) return <span class="muted">–</span>;
  const trend = recovery.trend === "slower" ? "bad" : recovery.trend === "faster" ? "good" : "";
  return (
    <span class="recovery">
      <span>{duration(recovery.recent_ms)}</span>
      {(recovery.trend === "slower" || recovery.trend === "faster") && (
        <span class={`trend ${trend}`}>{recovery.trend === "slower" ? "↑" : "↓"} {t(`trend.${recovery.trend}`, { percent: Math.abs(recovery.change_percent ?? 0) })}</span>
      )}
    </span>
  );
}

export function NewestTest({ row }: { row: OverviewRow }) {
  const test = row.newest_test;
  if (!test) return <span class="muted">{t("machine.never-tested")}</span>;
  const target = `/api/v1/verifications/${test.number}/pictures/${test.picture_count}?tenant=${encodeURIComponent(row.tenant)}`;
  return (
    <a class="newest-test" href={link(["tests", row.tenant, test.number])} title={test.reason}>
      {test.picture_count > 0 ? <Picture target={target} alt={t("picture.alt", { machine: row.name })} /> : <span class="no-picture" aria-hidden="true" />}
      <span class="newest-test-text"><VerdictPill verdict={test.verdict} /><span class="muted small-text"><Time value={test.started} /></span></span>
    </a>
  );
}

export function machineLink(tenant: string, name: string): string {
  return link(["machines", tenant, name]);
}

export function Sizes({ of }: { of: number }) {
  return <span class="number">{size(of)}</span>;
}
