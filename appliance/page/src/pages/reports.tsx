// A page for the client: what was protected, tested and proved in a period.
import { useState } from "preact/hooks";
import { download, post } from "../api/client";
import { useAnswer } from "../api/use";
import { may } from "../api/session";
import { zone } from "../lib/format";
import { t } from "../lib/language";
import { Action, Card, CopyCommand, Empty, Field, Head, Shown, Text, Time } from "../parts/basics";
import { commandTenant } from "../parts/machine-bits";
import { jobStarted } from "../parts/point-actions";
import { useTenant } from "../parts/shell";

const day = (offset: number) => {
  const date = new Date(Date.now() - offset * 86_400_000);
  return `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, "0")}-${String(date.getDate()).padStart(2, "0")}`;
};

export function Reports() {
  const tenant = useTenant();
  const [from, setFrom] = useState(day(30));
  const [to, setTo] = useState(day(0));
  const [format, setFormat] = useState<"pdf" | "html">("pdf");
  const asked = useAnswer(may("job-view") ? "/api/v1/jobs" : null, { query: { kind: "report", limit: 50 } }, { on: ["job-begun", "job-ended"], everyMs: 5000 });
  return (
    <>
      <Head title={t("nav.reports")} note={t("reports.note")} />
      {may("report-create") && (
        <Card title={t("reports.new")}>
          <div class="fields">
            <Field label={t("reports.from")}><Text type="date" value={from} set={setFrom} /></Field>
            <Field label={t("reports.to")}><Text type="date" value={to} set={setTo} /></Field>
            <Field label={t("restore.format")}><select value={format} onChange={(event) => setFormat(event.currentTarget.value as "pdf")}><option value="pdf">PDF</option><option value="html">HTML</option></select></Field>
          </div>
          <div class="actions">
            <Action tone="main" run={async () => { jobStarted((await post("/api/v1/reports", { query: { tenant } }, { from, to, format, timezone: zone })).job); asked.reload(); }}>{t("reports.make")}</Action>
            <CopyCommand command={`muletto report create --from ${from} --to ${to} --timezone ${zone} --out report.${format}${commandTenant(tenant ?? "default")}`} />
          </div>
        </Card>
      )}
      <Shown asked={asked} what="wait.reports">
        {(data) => {
          const made = data.jobs.filter((job) => "report" in job.figures || job.state === "running" || job.state === "failed");
          if (made.length === 0) return <Card><Empty title={t("reports.none")}>{t("reports.none.text")}</Empty></Card>;
          return (
            <Card title={t("reports.made")}>
              <ul class="plain rows">
                {made.map((job) => {
                  const report = (job.figures as { report?: string }).report;
                  return (
                    <li key={job.id}><span>{job.tenant}</span><span class="muted small-text"><Time value={job.created} exact /></span>
                      {report ? <Action small run={() => download(`/api/v1/reports/${report}?tenant=${encodeURIComponent(job.tenant)}`, `report-${report}`)}>{t("files.download")}</Action>
                        : job.error ? <span class="strong-bad small-text" lang="en">{job.error.message}</span> : <span class="muted">{t("reports.making")}</span>}</li>
                  );
                })}
              </ul>
            </Card>
          );
        }}
      </Shown>
    </>
  );
}
