// Times in the viewer's zone, sizes and durations with units.
import { language, number, t } from "./language";

const kUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

export function size(bytes: number): string {
  let unit = 0;
  while (bytes >= 1024 && unit + 1 < kUnits.length) {
    bytes /= 1024;
    ++unit;
  }
  return `${number(bytes, unit === 0 || bytes >= 100 ? 0 : 1)} ${kUnits[unit]}`;
}

type TimeUnit = "second" | "minute" | "hour" | "day";
const inUnit = (value: number, unit: TimeUnit, digits = 0) =>
  new Intl.NumberFormat(language.value, { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: digits }).format(value);

export function duration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 10) return inUnit(seconds, "second", 1);
  if (seconds < 120) return inUnit(Math.round(seconds), "second");
  const minutes = seconds / 60;
  if (minutes < 120) return inUnit(Math.round(minutes), "minute");
  const hours = minutes / 60;
  if (hours < 48) return inUnit(hours, "hour", hours < 10 ? 1 : 0);
  return inUnit(Math.round(hours / 24), "day");
}

export function ago(time: string | number, now = Date.now()): string {
  const ms = now - new Date(time).getTime();
  const format = new Intl.RelativeTimeFormat(language.value, { numeric: "auto", style: "long" });
  const sign = ms < 0 ? 1 : -1;
  const seconds = Math.abs(ms) / 1000;
  if (seconds < 45) return t("time.now");
  if (seconds < 3600) return format.format(sign * Math.max(1, Math.round(seconds / 60)), "minute");
  if (seconds < 86_400 * 1.5) return format.format(sign * Math.round(seconds / 3600), "hour");
  return format.format(sign * Math.round(seconds / 86_400), "day");
}

export function at(time: string | number, parts: Intl.DateTimeFormatOptions = { dateStyle: "medium", timeStyle: "short" }): string {
  return new Intl.DateTimeFormat(language.value, parts).format(new Date(time));
}

export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

export function zoneShort(): string {
  const parts = new Intl.DateTimeFormat(language.value, { timeZoneName: "short" }).formatToParts(new Date());
  return parts.find((part) => part.type === "timeZoneName")?.value ?? zone;
}

// A time as people read it in full, with its zone.
export function fully(time: string | number): string {
  return at(time, { dateStyle: "full", timeStyle: "long" });
}

export function percent(part: number, whole: number): string {
  return new Intl.NumberFormat(language.value, { style: "percent", maximumFractionDigits: 0 }).format(whole > 0 ? part / whole : 0);
}

// A word for a shell.
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
