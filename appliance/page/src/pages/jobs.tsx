// Long work, live: how far it is, how fast, how long it still takes, and what it says.
import { useEffect, useRef, useState } from "preact/hooks";
import { lines, post, type Schemas } from "../api/client";
import { useAnswer } from "../api/use";
import { may } from "../api/session";
import { at, duration, percent, size } from "../lib/format";
import { number, t, word } from "../lib/language";
import { go, link, place } from "../lib/place";
import { Action, Card, CopyCommand, Empty, Facts, Head, Pill, Shown, Time, type Tone, usePage } from "../parts/basics";

type JobFacts = Schemas["Job"];
export const jobTone: Record<string, Tone> = { queued: "quiet", running: "busy", succeeded: "good", failed: "bad", cancelled: "warn" };
const inBytes = new Set(["sync", "import", "restore", "host-restore", "download", "pull", "compact"]);
const amount = (job: JobFacts, value: number) => (inBytes.has(job.kind) ? size(value) : number(value));
const isOver = (job: JobFacts) => job.state !== "running" && job.state !== "queued";

export function Progress({ job }: { job: JobFacts }) {
  const { done, total, phase, rate, left_ms } = job.progress;
  return (
    <div class="progress">
      {total > 0 && <div class="meter busy wide" role="progressbar" aria-valuemin={0} aria-valuemax={total} aria-valuenow={Math.min(done, total)} aria-label={word("job", job.kind)}><span style={{ width: `${Math.min(100, (done / total) * 100)}%` }} /></div>}
      <p class="muted small-text">
        {[total > 0 ? `${percent(done, total)} · ${amount(job, done)} / ${amount(job, total)}` : done > 0 ? amount(job, done) : "", rate ? `${amount(job, rate)}/s` : "", left_ms ? t("job.left", { time: duration(left_ms) }) : "", phase].filter(Boolean).join(" · ")}
      </p>
    </div>
  );
}

export function JobRow({ job }: { job: JobFacts }) {
  return (
    <li class="job">
      <div class="job-head">
        <a href={link(["jobs", job.id])}><strong>{word("job", job.kind)}</strong> {job.subject.length > 24 && /^[0-9a-f]+$/.test(job.subject) ? job.subject.slice(0, 12) : job.subject}</a>
        <Pill tone={jobTone[job.state] ?? "quiet"}>{word("state", job.state)}</Pill>
        <span class="muted small-text"><Time value={job.created} />{job.duration_ms !== null && isOver(job) && ` · ${duration(job.duration_ms)}`}</span>
      </div>
      {job.state === "running" && <Progress job={job} />}
      {job.error && <p class="strong-bad small-text" lang="en">{job.error.message}</p>}
    </li>
  );
}

export function Jobs() {
  const state = place.value.query.get("state") ?? "";
  const asked = useAnswer("/api/v1/jobs", { query: { state, limit: 200 } }, { on: ["job-begun", "job-ended"], everyMs: 4000 });
  return (
    <>
      <Head title={t("nav.jobs")} note={t("jobs.note")}>
        <div class="timeline-tools" role="group" aria-label={t("jobs.filter")}>
          {["", "running", "failed", "succeeded"].map((each) => <a key={each} class={`chip${state === each ? " on" : ""}`} aria-current={state === each ? "true" : undefined} href={link(["jobs"], { state: each })}>{each === "" ? t("jobs.all") : word("state", each)}</a>)}
        </div>
      </Head>
      <Shown asked={asked} what="wait.jobs">
        {(data) => <List jobs={data.jobs} filtered={state !== ""} />}
      </Shown>
    </>
  );
}

function List({ jobs, filtered }: { jobs: JobFacts[]; filtered: boolean }) {
  const active = jobs.filter((job) => !isOver(job));
  const over = jobs.filter(isOver);
  const { rows, more } = usePage(over, 30);
  if (jobs.length === 0) return <Card><Empty title={filtered ? t("list.none") : t("jobs.none")}>{filtered ? "" : t("jobs.none.text")}</Empty></Card>;
  return (
    <>
      {active.length > 0 && <Card title={t("jobs.active")}><ul class="plain jobs">{active.map((job) => <JobRow key={job.id} job={job} />)}</ul></Card>}
      {over.length > 0 && <Card title={t("jobs.over")}><ul class="plain jobs">{rows.map((job) => <JobRow key={job.id} job={job} />)}</ul>{more}</Card>}
    </>
  );
}

export function Job({ id }: { id: string }) {
  const asked = useAnswer("/api/v1/jobs/{id}", { path: { id } }, { on: ["job-begun", "job-ended"], everyMs: 2000 });
  const job = asked.data?.job;
  // Who started an instant VM wants to see it.
  useEffect(() => {
    const boot = (job?.figures as { boot?: string } | undefined)?.boot;
    if (job?.state === "succeeded" && boot && place.value.query.get("then") === "vm") go(link(["vms", boot]));
  }, [job?.state]);
  return <Shown asked={asked} what="wait.job">{({ job: facts }) => <Sheet job={facts} reload={asked.reload} />}</Shown>;
}

function figure(name: string, value: unknown): string {
  if (value === null) return "–";
  if (typeof value === "number") return /_ms$/.test(name) ? duration(value) : /bytes|size|written|verified|differing/.test(name) ? size(value) : number(value);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function Sheet({ job, reload }: { job: JobFacts; reload: () => void }) {
  const figures = Object.entries(job.figures as Record<string, unknown>).filter(([, value]) => !Array.isArray(value) || value.length > 0);
  const boot = (job.figures as { boot?: string }).boot;
  return (
    <>
      <Head title={`${word("job", job.kind)} ${job.subject}`} back={{ href: "#/jobs", text: t("nav.jobs") }}
        note={<><Pill tone={jobTone[job.state] ?? "quiet"}>{word("state", job.state)}</Pill> <Time value={job.created} />{job.duration_ms !== null && ` · ${duration(job.duration_ms)}`}{job.requested_by && ` · ${t("job.by")} ${job.requested_by}`}</>}>
        {boot && <a class="button main" href={link(["vms", boot])}>{t("job.to-vm")}</a>}
        {job.kind === "boots" && <a class="button main" href={link(["disaster", job.id])}>{t("job.to-vms")}</a>}
        {!isOver(job) && may("job-cancel") && <Action tone="danger" run={async () => { await post("/api/v1/jobs/{id}/cancel", { path: { id: job.id } }); reload(); }}>{t("job.cancel")}</Action>}
        <CopyCommand command={`muletto job follow ${job.id}`} />
      </Head>
      {job.error && <div class="trouble" role="alert"><p lang="en">{job.error.message}</p></div>}
      {job.state === "running" && <Card><Progress job={job} /></Card>}
      {figures.length > 0 && <Card title={t("job.figures")}><Facts rows={figures.map(([name, value]) => [word("figure", name), figure(name, value)] as const)} /></Card>}
      <Card title={t("job.log")}><Log id={job.id} /></Card>
    </>
  );
}

type LogLine = Schemas["JobLogLine"] | { job: JobFacts };

function Log({ id }: { id: number }) {
  const [text, setText] = useState<Schemas["JobLogLine"][]>([]);
  const [over, setOver] = useState(false);
  const box = useRef<HTMLOListElement>(null);
  useEffect(() => {
    const stop = new AbortController();
    let last = 0;
    const follow = async () => {
      while (!stop.signal.aborted) {
        try {
          for await (const line of lines<LogLine>(`/api/v1/jobs/${id}/log?follow=true&after=${last}`, stop.signal)) {
            if ("job" in line) continue;
            last = line.sequence;
            setText((before) => [...before, line].slice(-2000));
          }
          setOver(true);
          return;
        } catch {
          if (stop.signal.aborted) return;
          await new Promise((resolve) => setTimeout(resolve, 3000));
        }
      }
    };
    void follow();
    return () => stop.abort();
  }, [id]);
  useEffect(() => {
    const element = box.current;
    if (element && element.scrollHeight - element.scrollTop - element.clientHeight < 120) element.scrollTop = element.scrollHeight;
  }, [text]);
  if (text.length === 0) return <Empty title={over ? t("job.log.none") : t("job.log.wait")} />;
  return (
    <ol class="log plain" ref={box} tabIndex={0} aria-label={t("job.log")}>
      {text.map((line) => <li key={line.sequence}><time dateTime={line.time}>{at(line.time, { timeStyle: "medium" })}</time> <span lang="en">{line.text}</span></li>)}
    </ol>
  );
}
