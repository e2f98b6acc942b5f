// A machine's points over time, from hours to years: how many arrived in each column, what retention
// will keep of them, and what test boots found. Zoomed by buttons, wheel and keyboard; the table below it
// says the same in words.
import { useMemo, useRef, useState } from "preact/hooks";
import type { Schemas } from "../api/client";
import { at, fully } from "../lib/format";
import { t } from "../lib/language";
import { place, setQuery } from "../lib/place";

type PointRow = Schemas["PointRow"];
const kColumns = 160, kHeight = 76;
const kHour = 3_600_000, kDay = 24 * kHour;
const ranges = { day: kDay, week: 7 * kDay, month: 31 * kDay, year: 366 * kDay } as const;

interface Column { from: number; to: number; points: PointRow[]; stays: number; fail: boolean; pass: boolean; held: boolean; lost: boolean }

export function Timeline({ points, verdicts, choose, chosen }: {
  points: PointRow[];
  verdicts: ReadonlyMap<string, string>;
  choose: (point: PointRow) => void;
  chosen: string | undefined;
}) {
  const now = Date.now();
  const oldest = points.length > 0 ? Math.min(...points.map((point) => Date.parse(point.time))) : now - kDay;
  const whole = Math.max(kDay, (now - oldest) * 1.02);
  const asked = place.value.query.get("range");
  const named = asked && Object.hasOwn(ranges, asked) ? ranges[asked as keyof typeof ranges] : whole;
  const wanted = Number(place.value.query.get("span")) || named;
  const span = Math.max(kHour, Math.min(wanted, whole * 2));
  const middle = place.value.query.get("at");
  const [end, setEnd] = useState(() => (middle ? Math.min(now, Date.parse(middle) + span / 2) : now));
  const from = end - span;
  const columns = useMemo(() => {
    const list: Column[] = Array.from({ length: kColumns }, (_, index) => ({
      from: from + (index * span) / kColumns, to: from + ((index + 1) * span) / kColumns, points: [], stays: 0, fail: false, pass: false, held: false, lost: false,
    }));
    for (const point of points) {
      const index = Math.floor(((Date.parse(point.time) - from) / span) * kColumns);
      const column = list[index === kColumns ? kColumns - 1 : index];
      if (!column) continue;
      column.points.push(point);
      if (point.stays !== false) ++column.stays;
      if (point.hold) column.held = true;
      if (point.missing_since || point.damage_found) column.lost = true;
      const verdict = verdicts.get(point.id);
      if (verdict === "fail") column.fail = true;
      if (verdict === "pass") column.pass = true;
    }
    return list;
  }, [points, verdicts, from, span]);
  const most = Math.max(1, ...columns.map((column) => column.points.length));
  const svg = useRef<SVGSVGElement>(null);
  const zoom = (factor: number, share = 0.5) => {
    const next = Math.max(kHour, Math.min(whole * 2, span * factor));
    setEnd(Math.min(now + next * 0.02, from + span * share + next * (1 - share)));
    setQuery({ range: undefined, span: String(Math.round(next)), at: undefined });
  };
  const move = (share: number) => setEnd(Math.min(now + span * 0.02, Math.max(oldest + span * 0.2, end + span * share)));
  const show = (range: string | undefined) => {
    setEnd(now);
    setQuery({ range, span: undefined, at: undefined });
  };
  const key = (event: KeyboardEvent) => {
    const keys: Record<string, () => void> = { ArrowLeft: () => move(-0.2), ArrowRight: () => move(0.2), "+": () => zoom(0.6), "=": () => zoom(0.6), "-": () => zoom(1.6), Home: () => show(undefined) };
    const run = keys[event.key];
    if (!run) return;
    event.preventDefault();
    run();
  };
  const shown = columns.reduce((sum, column) => sum + column.points.length, 0);
  const ticks = useMemo(() => [0, 1, 2, 3, 4, 5].map((index) => from + (span * (index + 0.5)) / 6), [from, span]);
  const tickText = (time: number) => at(time, span <= 2 * kDay ? { hour: "2-digit", minute: "2-digit" } : span <= 120 * kDay ? { day: "numeric", month: "short" } : { month: "short", year: "numeric" });
  return (
    <div class="timeline">
      <div class="timeline-tools" role="group" aria-label={t("timeline.range")}>
        {(["day", "week", "month", "year"] as const).map((range) => (
          <button type="button" key={range} class={`chip${asked === range ? " on" : ""}`} aria-pressed={asked === range} onClick={() => show(range)}>{t(`timeline.${range}`)}</button>
        ))}
        <button type="button" class={`chip${!asked && !place.value.query.get("span") ? " on" : ""}`} onClick={() => show(undefined)}>{t("timeline.all")}</button>
        <span class="spacer" />
        <button type="button" class="chip" aria-label={t("timeline.earlier")} onClick={() => move(-0.5)}>←</button>
        <button type="button" class="chip" aria-label={t("timeline.later")} onClick={() => move(0.5)}>→</button>
        <button type="button" class="chip" aria-label={t("timeline.in")} onClick={() => zoom(0.5)}>+</button>
        <button type="button" class="chip" aria-label={t("timeline.out")} onClick={() => zoom(2)}>−</button>
      </div>
      <svg ref={svg} viewBox={`0 0 ${kColumns * 6} ${kHeight}`} preserveAspectRatio="none" role="img" tabIndex={0} onKeyDown={key}
        aria-label={t("timeline.label", { count: shown, from: at(from), to: at(end) })}
        onWheel={(event) => {
          if (!event.ctrlKey && !event.shiftKey) return;
          event.preventDefault();
          const box = svg.current!.getBoundingClientRect();
          zoom(event.deltaY < 0 ? 0.75 : 1.35, (event.clientX - box.left) / box.width);
        }}>
        <line x1="0" x2={kColumns * 6} y1={kHeight - 0.5} y2={kHeight - 0.5} class="base" />
        {columns.map((column, index) => {
          if (column.points.length === 0) return null;
          const full = 14 + (column.points.length / most) * 40;
          const kept = full * (column.stays / column.points.length);
          const newest = column.points[column.points.length - 1]!;
          const isChosen = column.points.some((point) => point.id === chosen);
          return (
            <g key={index} class={`column${isChosen ? " chosen" : ""}`} onClick={() => choose(newest)}>
              <title>{`${t("count.points", { count: column.points.length })}, ${fully(newest.time)}`}</title>
              <rect x={index * 6} y="0" width="6" height={kHeight} class="hit" />
              <rect x={index * 6 + 1} y={kHeight - full} width="4" height={full} rx="1" class="going" />
              <rect x={index * 6 + 1} y={kHeight - kept} width="4" height={kept} rx="1" class={column.lost ? "lost-point" : column.held ? "held" : "stays"} />
              {(column.fail || column.pass) && <rect x={index * 6 + 1} y="2" width="4" height="6" rx="2" class={column.fail ? "fail" : "pass"} />}
            </g>
          );
        })}
      </svg>
      <div class="ticks" aria-hidden="true">{ticks.map((time) => <span key={time}>{tickText(time)}</span>)}</div>
      <p class="legend" aria-hidden="true">
        <span><i class="swatch day" />{t("timeline.stays")}</span><span><i class="swatch going" />{t("timeline.going")}</span>
        <span><i class="swatch held" />{t("timeline.held")}</span><span><i class="swatch pass" />{t("verdict.pass")}</span><span><i class="swatch fail" />{t("verdict.fail")}</span>
      </p>
    </div>
  );
}
