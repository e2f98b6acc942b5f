// A line over time, by uPlot, in the page's colours.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { language } from "../lib/language";
import { theme } from "../lib/theme";

export function Graph({ times, values, text, label, target }: {
  times: number[]; // seconds, ascending
  values: (number | null)[];
  text: (value: number) => string;
  label: string;
  target?: number | undefined; // a line that should not be crossed
}) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const style = getComputedStyle(document.documentElement);
    const color = (name: string) => style.getPropertyValue(name).trim();
    const axis: uPlot.Axis = { stroke: color("--muted"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false }, font: "12px Inter, sans-serif" };
    const day = new Intl.DateTimeFormat(language.value, { day: "numeric", month: "short" });
    const data: uPlot.AlignedData = target === undefined ? [times, values] : [times, values, times.map(() => target)];
    const plot = new uPlot({
      width: element.clientWidth, height: 160, legend: { show: false }, cursor: { y: false },
      scales: { y: { range: (_, low, high) => [Math.min(0, low), Math.max(high, target ?? 0) * 1.1 || 1] } },
      axes: [
        { ...axis, values: (_, splits) => splits.map((each) => day.format(each * 1000)), space: 70 },
        { ...axis, values: (_, splits) => splits.map(text), size: 74 },
      ],
      series: [
        {},
        { stroke: color("--accent"), width: 2, fill: color("--accent-soft"), points: { size: 5, fill: color("--accent") }, spanGaps: true },
        ...(target === undefined ? [] : [{ stroke: color("--bad"), width: 1, dash: [4, 4], points: { show: false } }]),
      ],
    }, data, element);
    const watch = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: 160 }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      plot.destroy();
    };
  }, [times, values, target, theme.value, language.value]);
  const known = values.filter((value) => value !== null);
  const last = known[known.length - 1];
  return <div class="graph" ref={place} role="img" aria-label={last === undefined ? label : `${label}: ${text(last)}`} />;
}
