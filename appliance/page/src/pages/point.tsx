// One point: what it is, how it was made, what is known about it, and what can be done with it.
import { useAnswer } from "../api/use";
import { may } from "../api/session";
import { duration, fully, size } from "../lib/format";
import { t, word } from "../lib/language";
import { go, link } from "../lib/place";
import { Card, Empty, Facts, Head, Pill, Shown, Time } from "../parts/basics";
import { VerdictPill } from "../parts/machine-bits";
import { Picture } from "../parts/picture";
import { PointActions } from "../parts/point-actions";

export function Point({ tenant, id }: { tenant: string; id: string }) {
  const asked = useAnswer("/api/v1/points/{point}", { path: { point: id }, query: { tenant } });
  return (
    <Shown asked={asked} what="wait.point">
      {({ point }) => <Sheet point={point} tenant={tenant} reload={asked.reload} />}
    </Shown>
  );
}

function Sheet({ point, tenant, reload }: { point: import("../api/client").Schemas["Point"]; tenant: string; reload: () => void }) {
  const rows = useAnswer("/api/v1/points", { query: { tenant, machine: point.machine } }, { on: ["job-ended"] });
  const tests = useAnswer(may("verification-view") ? "/api/v1/verifications" : null, { query: { tenant, machine: point.machine, limit: 1000 } }, { on: ["job-ended", "boot-ended"] });
  const row = rows.data?.points.find((each) => each.id === point.id);
  const of = (tests.data?.verifications ?? []).filter((test) => test.point === point.id);
  const others = (rows.data?.points ?? []).filter((each) => each.id !== point.id && !each.missing_since && each.time < point.time).slice(-50).reverse();
  const figures = point.figures;
  return (
    <>
      <Head title={fully(point.time)} back={{ href: link(["machines", tenant, point.machine]), text: point.machine }}
        note={<>{word("consistency", point.consistency)}{row?.hold && <> · <Pill tone="busy">{t("timeline.held")}</Pill> {row.hold.reason}</>}{row?.stays === false && <> · <Pill tone="warn">{t("timeline.going")}</Pill></>}</>}>
        <PointActions point={{ id: point.id, machine: point.machine, tenant, time: point.time, hold: row?.hold }} changed={() => { reload(); rows.reload(); }}
          gone={() => go(link(["machines", tenant, point.machine]))} />
      </Head>
      <div class="columns">
        <Card title={t("point.facts")}>
          <Facts rows={[
            [t("point.id"), <code class="id">{point.id}</code>],
            [t("column.size"), size(point.size)],
            [t("column.host"), point.host ?? "–"],
            [t("point.host-time"), fully(point.host_time)],
            point.clock_note && [t("point.clock"), point.clock_note],
            row && [t("column.keeps"), <span lang="en">{(row.reasons ?? []).join(", ") || "–"}</span>],
            row?.damage_found && [t("point.damaged"), <Time value={row.damage_found} exact />],
            point.note && [t("point.note"), <span lang="en">{point.note}</span>],
            ...point.disks.map((disk) => [`${t("machine.disk")} ${disk.name}`, size(disk.size)] as const),
          ]} />
        </Card>
        <Card title={t("point.sync")}>
          <Facts rows={[
            [t("figures.read"), size(figures.bytes_read)],
            [t("figures.sent"), size(figures.bytes_sent)],
            [t("figures.stored"), size(figures.bytes_stored)],
            [t("figures.took"), duration(figures.duration_ms)],
            [t("figures.frozen"), duration(figures.frozen_ms)],
            [t("figures.rate"), figures.duration_ms > 0 ? `${size((figures.bytes_read * 1000) / figures.duration_ms)}/s` : "–"],
          ]} />
        </Card>
      </div>
      <Card title={t("nav.tests")}>
        {of.length === 0 ? <Empty title={t("tests.none")}>{point.tested_elsewhere ? t("tests.elsewhere", { verdict: word("verdict", point.tested_elsewhere.verdict), appliance: point.tested_elsewhere.appliance }) : t("tests.none.point")}</Empty> : (
          <ul class="plain film">
            {of.map((test) => (
              <li key={test.number}>
                <a href={link(["tests", tenant, test.number])}>
                  {test.picture_count > 0 ? <Picture target={`/api/v1/verifications/${test.number}/pictures/${test.picture_count}?tenant=${encodeURIComponent(tenant)}`} alt={t("picture.alt", { machine: test.machine })} /> : <span class="no-picture" aria-hidden="true" />}
                  <span class="inline"><VerdictPill verdict={test.verdict} /><span class="muted small-text"><Time value={test.started} /></span></span>
                  <span class="small-text muted" lang="en">{test.reasons[0]}</span>
                </a>
              </li>
            ))}
          </ul>
        )}
      </Card>
      {may("file-view") && others.length > 0 && (
        <Card title={t("compare.title")} note={t("compare.note")}>
          <label class="field"><span class="label">{t("compare.with")}</span>
            <select value="" onChange={(event) => event.currentTarget.value && go(link(["compare", tenant, point.id], { with: event.currentTarget.value }))}>
              <option value="">{t("compare.choose")}</option>
              {others.map((each) => <option key={each.id} value={each.id}>{fully(each.time)}</option>)}
            </select>
          </label>
        </Card>
      )}
    </>
  );
}
