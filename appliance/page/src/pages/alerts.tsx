// Everything that is wrong, and what was.
import { useState } from "preact/hooks";
import { useAnswer } from "../api/use";
import { t } from "../lib/language";
import { place } from "../lib/place";
import { Card, Empty, Head, Problems, Shown, usePage } from "../parts/basics";
import { AlertRow } from "../parts/alert-row";
import { useTenant } from "../parts/shell";
import type { Schemas } from "../api/client";

export function Alerts() {
  const tenant = useTenant();
  const [closed, setClosed] = useState(false);
  const asked = useAnswer("/api/v1/alerts", { query: { tenant, closed } }, { on: ["alert-opened", "alert-closed"], everyMs: 60_000 });
  return (
    <>
      <Head title={t("nav.alerts")} note={t("alerts.note")}>
        <label class="switch"><input type="checkbox" checked={closed} onChange={(event) => setClosed(event.currentTarget.checked)} /><span>{t("alerts.history")}</span></label>
      </Head>
      <Shown asked={asked} what="wait.alerts">
        {(data) => (
          <>
            <Problems list={data.problems} />
            <List alerts={data.alerts} reload={asked.reload} closed={closed} />
          </>
        )}
      </Shown>
      <Kinds />
    </>
  );
}

function List({ alerts, reload, closed }: { alerts: Schemas["Alert"][]; reload: () => void; closed: boolean }) {
  const wanted = Number(place.value.query.get("id"));
  const sorted = wanted ? [...alerts].sort((a, b) => Number(b.id === wanted) - Number(a.id === wanted)) : alerts;
  const { rows, more } = usePage(sorted, 30);
  if (alerts.length === 0) return <Card><Empty title={closed ? t("alerts.never") : t("alerts.none")}>{t("alerts.none.text")}</Empty></Card>;
  return (
    <>
      <ul class="alerts" aria-label={t("nav.alerts")}>{rows.map((alert) => <AlertRow key={alert.id} alert={alert} done={reload} />)}</ul>
      {more}
    </>
  );
}

function Kinds() {
  const [open, setOpen] = useState(false);
  const asked = useAnswer(open ? "/api/v1/alert-kinds" : null);
  return (
    <details class="known" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t("alerts.kinds")}</summary>
      {open && (
        <Shown asked={asked} what="wait.alerts">
          {(data) => (
            <dl class="kinds" lang="en">
              {data.kinds.map((kind) => <div key={kind.name}><dt>{kind.name}</dt><dd>{kind.meaning}. <span class="muted">{kind.advice}</span></dd></div>)}
            </dl>
          )}
        </Shown>
      )}
    </details>
  );
}
